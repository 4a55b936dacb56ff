"""Sees to it that workers hold what they shall: at their start, when somebody adds or removes, at every probe.

Run by `supervisor.main`; workers lodge with it, `desk` asks for what administrators want. A load is a task of its own,
so that whoever asked for it first can go away without taking it along.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engines.ledger.ledger import Ledger
from engines.ledger.loading import Loading
from engines.ledger.picture import Residency
from engines.ledger.site import Site
from engines.ledger.spreading import Place, spread
from engines.ledger.stock import Stock
from engines.supervisor.holds import Holds
from engines.supervisor.pacing import Pacing


@dataclass(slots=True)
class Debt:
    """A load that failed and is tried again."""

    reason: str
    failures: int
    due: float


class Steward:
    """Invariant: at most one load or unload of an adapter on a worker is under way; only it writes the ledger."""

    def __init__(
        self,
        ledger: Ledger,
        stock: Stock,
        loading: Loading,
        holds: Holds,
        clock: Callable[[], float],
        pacing: Pacing,
    ) -> None:
        self.ledger: Final = ledger
        self._stock: Final = stock
        self._loading: Final = loading
        self._holds: Final = holds
        self._clock: Final = clock
        self._pacing: Final = pacing
        self._flights: Final[dict[tuple[str, str], asyncio.Task[str]]] = {}
        self._debts: Final[dict[tuple[str, str], Debt]] = {}
        self._group: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Until cancelled; then nothing more is loaded."""
        async with asyncio.TaskGroup() as self._group:
            await asyncio.Event().wait()

    @asynccontextmanager
    async def lodging(self, site: Site) -> AsyncIterator[None]:
        """Loads what the worker shall hold, and keeps it there for as long as it is entered."""
        if not site.slots or not site.engine.capabilities.hot_adapters:
            yield
            return
        self.ledger.enter(site)
        try:
            await self._adopt(site)
            for name in self._stock.due(site.model):
                if self.ledger.free(site.id) and self.ledger.state(site.id, name) is None:
                    await self.load(site, name)
            yield
        finally:
            self._holds.forget(self.ledger.leave(site.id))
            for key in [key for key in self._debts if key[0] == site.id]:
                del self._debts[key]

    def resident(self, worker: str) -> tuple[str, ...]:
        """What requests may be sent to a worker for."""
        return self.ledger.resident(worker)

    async def look(self, worker: str) -> None:
        """At every good probe: what is owed is tried again, without anybody waiting for it."""
        site = self.ledger.site(worker)
        if site is None:
            return
        now = self._clock()
        for name in self._stock.due(site.model):
            debt = self._debts.get((worker, name))
            if self.ledger.state(worker, name) is None and (debt is None or debt.due <= now):
                if not self.ledger.free(worker):
                    return
                self._begin(site, name)

    async def load(self, site: Site, name: str) -> str:
        """Has it resident there; empty, or why not. One load serves all who ask for it."""
        if self.ledger.state(site.id, name) is Residency.RESIDENT:
            return ""
        flight = self._begin(site, name)
        await asyncio.wait({flight})
        return "the supervisor stops" if flight.cancelled() else flight.result()

    async def spread(self, model: str, name: str) -> Mapping[str, str]:
        """Has it resident wherever there is room, and on one worker at least; by worker, why it is not (empty: it is).

        Nothing where no worker of the model serves.
        """
        sites = {site.id: site for site in self.ledger.sites(model)}
        places = {worker: Place(site.slots, self.ledger.lodgers(worker)) for worker, site in sites.items()}
        chosen = spread(places, name, self._stock.pinned(model))
        for worker, victim in chosen.evict:
            self.evict(victim, (worker,))
        loads = {worker: self._within(sites[worker], name) for worker in chosen.workers}
        found = await asyncio.gather(*loads.values())
        return dict(zip(loads, found, strict=True))

    def evict(self, name: str, workers: Iterable[str] | None = None) -> None:
        """Has it leave these workers, or all, once nobody uses it there."""
        for worker in workers if workers is not None else self.ledger.holders(name):
            site = self.ledger.site(worker)
            if site and self._group and self.ledger.state(worker, name) is Residency.RESIDENT:
                hold = self.ledger.depart(worker, name)
                self._flights[worker, name] = self._group.create_task(self._see_off(site, name, hold))

    def forgive(self, name: str) -> None:
        """It is not to be loaded any more, wherever that failed."""
        for key in [key for key in self._debts if key[1] == name]:
            del self._debts[key]

    async def serves(self, model: str, within: float) -> bool:
        """Whether a worker of the model serves; waits so many seconds for one."""
        try:
            async with asyncio.timeout(within):
                while not self.ledger.sites(model):
                    await self.ledger.change()
        except TimeoutError:
            return False
        return True

    def weights(self, model: str) -> Path | None:
        """What the model's workers loaded, as far as known."""
        return next((site.weights for site in self.ledger.workers() if site.model == model and site.weights), None)

    def fault(self, worker: str, name: str) -> str:
        """Why a worker does not hold what it shall; empty: nothing is known against it."""
        debt = self._debts.get((worker, name))
        return debt.reason if debt else ""

    async def _within(self, site: Site, name: str) -> str:
        """A load that may have to wait for a slot."""
        try:
            async with asyncio.timeout(self._pacing.adapter_room):
                while not self.ledger.free(site.id) and self.ledger.state(site.id, name) is None:
                    await self.ledger.change()
                    if self.ledger.site(site.id) is None:
                        return "the worker is gone"
        except TimeoutError:
            return f"no slot was free within {self._pacing.adapter_room:g} s: requests still use what it holds"
        return await self.load(site, name)

    async def _adopt(self, site: Site) -> None:
        """What somebody else's worker has held since before: ours is proved again, the rest is not ours to judge."""
        for name in sorted(await self._loading.listed(site)):
            if self._stock.named(name) and self.ledger.free(site.id):
                self.ledger.begin(site.id, name)
                self._settle(site.id, name, await self._loading.prove(site, name))

    def _begin(self, site: Site, name: str) -> asyncio.Task[str]:
        flight = self._flights.get((site.id, name))
        if flight is not None and not flight.done():
            return flight
        if self._group is None:
            raise RuntimeError("the steward does not run")
        self.ledger.begin(site.id, name)
        flight = self._flights[site.id, name] = self._group.create_task(self._load(site, name))
        flight.add_done_callback(lambda done: self._landed((site.id, name), done))
        return flight

    def _landed(self, key: tuple[str, str], flight: asyncio.Task[str]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]

    async def _load(self, site: Site, name: str) -> str:
        reason = await self._loading.load(site, name)
        self._settle(site.id, name, reason)
        return reason or ("" if self.ledger.site(site.id) else "the worker is gone")

    def _settle(self, worker: str, name: str, reason: str) -> None:
        if not reason:
            self._debts.pop((worker, name), None)
            self.ledger.settle(worker, name)
            return
        before = self._debts.get((worker, name))
        failures = before.failures + 1 if before else 1
        if self.ledger.site(worker):
            due = self._clock() + self._pacing.load_again(failures)
            self._debts[worker, name] = Debt(reason, failures, due)
        self.ledger.forget(worker, name)

    async def _see_off(self, site: Site, name: str, hold: str) -> str:
        """Until its requests have ended, or have had their time; then its slot is free."""
        try:
            async with asyncio.timeout(self._pacing.swap_drain):
                await self._holds.until_free([hold])
        except TimeoutError:
            pass  # an engine lets requests that run end on what they have
        reason = await self._loading.unload(site, name)
        self.ledger.forget(site.id, name)
        self._holds.forget([hold])
        return reason
