"""Loads and unloads under way: one task for each adapter on a worker, whoever asked for it. Run by `steward`.

Whoever asked for a load first can go away without taking it along.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

from engines.holds import Holds
from engines.ledger.figures import Figures
from engines.ledger.ledger import Ledger
from engines.ledger.loading import Loading
from engines.ledger.picture import Residency
from engines.ledger.site import Site
from engines.ledger.waits import Waits
from engines.store.failures import StoreDamaged


@dataclass(slots=True)
class Debt:
    """A load that failed and is tried again."""

    reason: str
    failures: int
    due: float
    lost: bool = False
    """Whether its files are gone, so that no worker can ever be given it."""


_OFTEN: Final = 2
"""Loads that have failed in a row, after which another one is not expected to be better soon."""
_LOST: Final = "its stored files are gone, or are not what they were"


class Flights:
    """Invariant: at most one load or unload of an adapter on a worker is under way; only it writes the ledger."""

    def __init__(
        self,
        ledger: Ledger,
        loading: Loading,
        holds: Holds,
        figures: Figures,
        clock: Callable[[], float],
        waits: Waits,
    ) -> None:
        self._figures: Final = figures
        self._ledger: Final = ledger
        self._loading: Final = loading
        self._holds: Final = holds
        self._clock: Final = clock
        self._waits: Final = waits
        self._under_way: Final[dict[tuple[str, str], asyncio.Task[str]]] = {}
        self._debts: Final[dict[tuple[str, str], Debt]] = {}
        self._group: asyncio.TaskGroup | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """For as long as it is entered, something can be loaded; loads under way end with it."""
        async with asyncio.TaskGroup() as self._group:
            yield

    async def load(self, site: Site, name: str) -> str:
        """Has it resident there; empty, or why not. One load serves all who ask for it."""
        if self._ledger.state(site.id, name) is Residency.RESIDENT:
            return ""
        flight = self.begin(site, name)
        await asyncio.wait({flight})
        return "the supervisor stops" if flight.cancelled() else flight.result()

    def begin(self, site: Site, name: str) -> asyncio.Task[str]:
        """A load that nobody waits for, or the one that is under way. What is resident is loaded anew."""
        flight = self._under_way.get((site.id, name))
        if flight is not None and self._ledger.state(site.id, name) is Residency.LOADING:
            return flight
        if self._group is None:
            raise RuntimeError("nobody runs the flights")
        if flight is None:
            self._ledger.begin(site.id, name)
        return self._take_off((site.id, name), self._group.create_task(self._load(site, name, flight)))

    def evict(self, name: str, workers: Iterable[str]) -> None:
        """Has it leave these workers, once nobody uses it there."""
        for worker in workers:
            site = self._ledger.site(worker)
            if site and self._group and self._ledger.state(worker, name) is Residency.RESIDENT:
                self._figures.evicted(site.model, name)
                hold = self._ledger.depart(worker, name)
                self._take_off((worker, name), self._group.create_task(self._see_off(site, name, hold)))

    def drop(self, site: Site, name: str) -> None:
        """What a worker holds and the ledger does not know: away with it, now."""
        if self._group and (site.id, name) not in self._under_way:
            self._take_off((site.id, name), self._group.create_task(self._loading.unload(site, name)))

    async def prove(self, site: Site, name: str) -> None:
        """It is loaded there since before we came."""
        self._ledger.begin(site.id, name)
        self._settle(site.id, name, await self._loading.prove(site, name))

    def busy(self, worker: str) -> bool:
        """Whether anything is loaded or unloaded there now."""
        return any(key[0] == worker for key in self._under_way)

    def refused(self, worker: str) -> frozenset[str]:
        """What is not to be tried there now."""
        now = self._clock()
        return frozenset(name for (where, name), debt in self._debts.items() if where == worker and debt.due > now)

    def owed(self, worker: str) -> tuple[str, ...]:
        """Why a worker does not hold what it shall, for people."""
        return tuple(f"{name}: {debt.reason}" for (where, name), debt in self._debts.items() if where == worker)

    def failed(self, worker: str, name: str) -> str:
        """Why the last try failed; empty: it did not."""
        debt = self._debts.get((worker, name))
        return debt.reason if debt else ""

    def hopeless(self, name: str, workers: Sequence[str]) -> str:
        """Why none of these workers will be given it soon, for clients; empty: one of them may."""
        debts = [self._debts.get((worker, name)) for worker in workers]
        owed = [each for each in debts if each and each.due > self._clock() and (each.lost or each.failures >= _OFTEN)]
        if not owed or len(owed) < len(debts):
            return ""
        return _LOST if any(each.lost for each in owed) else owed[0].reason

    def forgive(self, *, name: str = "", worker: str = "") -> None:
        """It is not to be loaded any more, or the worker is gone."""
        for key in [key for key in self._debts if name in {"", key[1]} and worker in {"", key[0]}]:
            del self._debts[key]

    def _take_off(self, key: tuple[str, str], flight: asyncio.Task[str]) -> asyncio.Task[str]:
        self._under_way[key] = flight
        flight.add_done_callback(lambda done: self._landed(key, done))
        return flight

    def _landed(self, key: tuple[str, str], flight: asyncio.Task[str]) -> None:
        if self._under_way.get(key) is flight:
            del self._under_way[key]

    async def _load(self, site: Site, name: str, before: asyncio.Task[str] | None) -> str:
        if before is not None:
            await asyncio.wait({before})
            if self._ledger.site(site.id) is None:
                return "the worker is gone"
            self._ledger.begin(site.id, name)
        begun = self._clock()
        lost = False
        try:
            reason = await self._loading.load(site, name)
        except StoreDamaged as damaged:
            reason, lost = str(damaged), True
        if reason:
            self._figures.failed(site.model)
        else:
            self._figures.loaded(site.model, name, self._clock() - begun)
        self._settle(site.id, name, reason, lost=lost)
        return reason or ("" if self._ledger.site(site.id) else "the worker is gone")

    def _settle(self, worker: str, name: str, reason: str, *, lost: bool = False) -> None:
        if not reason:
            self._debts.pop((worker, name), None)
            self._ledger.settle(worker, name)
            return
        before = self._debts.get((worker, name))
        failures = before.failures + 1 if before else 1
        if self._ledger.site(worker):
            due = self._clock() + self._waits.load_again(failures)
            self._debts[worker, name] = Debt(reason, failures, due, lost)
        self._ledger.forget(worker, name)

    async def _see_off(self, site: Site, name: str, hold: str) -> str:
        """Until its requests have ended, or have had their time; then its slot is free."""
        with suppress(TimeoutError):  # an engine lets requests that run end on what they have
            async with asyncio.timeout(self._waits.swap_drain):
                await self._holds.until_free([hold])
        reason = await self._loading.unload(site, name)
        self._ledger.forget(site.id, name)
        self._holds.forget([hold])
        return reason
