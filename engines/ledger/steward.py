"""Sees to it that workers hold what they shall: at their start, at every probe, when somebody adds or removes.

Run by `supervisor.lodgings`; workers lodge with it, `desk` and `adding` ask it for what administrators want.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from engines.holds import Holds
from engines.launchers.launcher import Seat
from engines.ledger.drift import drift
from engines.ledger.flights import Flights
from engines.ledger.knowledge import Knowledge
from engines.ledger.loading import Loading
from engines.ledger.outfit import Outfit
from engines.ledger.picture import Residency
from engines.ledger.rounds import Rounds
from engines.ledger.site import Site
from engines.ledger.wardrobe import Wardrobe
from registry.adapter_orders import AdapterUse, Missing, Want

_REMARKS: Final = 4
"""Of each worker, that are kept."""


class Steward:
    """Invariant: a worker that lodges with it was given what it shall hold before it was called ready."""

    def __init__(
        self,
        known: Knowledge,
        loading: Loading,
        flights: Flights,
        rounds: Rounds,
        holds: Holds,
        wardrobe: Wardrobe,
    ) -> None:
        self.ledger: Final = known.ledger
        self._stock: Final = known.stock
        self._demands: Final = known.demands
        self._recency: Final = known.recency
        self._loading: Final = loading
        self._flights: Final = flights
        self._rounds: Final = rounds
        self._holds: Final = holds
        self._figures: Final = known.figures
        self.wardrobe: Final = wardrobe
        self._remarks: Final[dict[str, tuple[str, ...]]] = {}
        """By worker: what was put right there."""

    async def run(self) -> None:
        """Until cancelled; then nothing more is loaded."""
        async with self._flights.running():
            await self._rounds.run()

    @asynccontextmanager
    async def lodging(self, site: Site) -> AsyncIterator[None]:
        """Loads what the worker shall hold, and keeps it there for as long as it is entered."""
        if not site.slots or not (site.hot or site.ours):
            yield
            return
        self.ledger.enter(site)
        try:
            await (self._furnish if site.hot else self._unpack)(site)
            yield
        finally:
            self._holds.forget(self.ledger.leave(site.id))
            self._flights.forgive(worker=site.id)
            self._remarks.pop(site.id, None)

    def outfit(self, model: str, slots: int, coming: frozenset[str] | None, takes: float) -> Outfit:
        """What workers are started with from now on that cannot be given more."""
        return self.wardrobe.outfit(model, slots, coming, takes)

    async def packed(self, seat: Seat) -> Seat:
        """The seat with the adapters that its worker is started with now."""
        return await self.wardrobe.packed(seat) if seat.outfit else seat

    def lost(self, names: frozenset[str], reason: str) -> None:
        """A worker that was started with these adapters has ended."""
        self.wardrobe.lost(names, reason)

    def deny(self, names: frozenset[str], reason: str) -> None:
        """No worker will be started with these adapters."""
        self.wardrobe.deny(names, reason)

    def resident(self, worker: str) -> tuple[str, ...]:
        """What requests may be sent to a worker for."""
        return self.ledger.resident(worker)

    async def look(self, worker: str) -> None:
        """At every good probe: what has drifted is put right, what is missing is loaded; nobody waits for it."""
        site = self.ledger.site(worker)
        if site is None or not site.hot or self._flights.busy(worker):
            return
        before = self.ledger.stays(worker)
        held = await self._loading.listed(site)
        if held is not None and not self._flights.busy(worker) and self.ledger.stays(worker) == before:
            found = drift(self.ledger.resident(worker), held, ours=site.ours)
            for name in found.lost:
                self._remark(site, f"the engine had lost {name}: it is loaded again")
                self._flights.begin(site, name)
            for name in found.foreign:
                self._remark(site, f"{name} was loaded by somebody else: it is unloaded")
                self._flights.drop(site, name)
        if not self._demands.wishes(site.model):
            self._fill(site)

    def heard(self, gateway: object, said: Want | Missing | AdapterUse) -> None:
        """What a gateway says of adapters."""
        match said:
            case Want(model, name, besides):
                self._demands.want(model, name)
                self._elsewhere(model, name, besides)
            case AdapterUse(models):
                self._demands.report(gateway, models)
            case Missing(worker, name):
                site = self.ledger.site(worker)
                if site and self.ledger.state(worker, name) is Residency.RESIDENT:
                    self._remark(site, f"a gateway missed {name}: it is loaded again")
                    self._flights.begin(site, name)

    def ended(self, gateway: object) -> None:
        """A gateway is gone."""
        self._demands.ended(gateway)

    async def spread(self, model: str, name: str, within: float) -> Mapping[str, str]:
        """Has it resident wherever there is room, and on one worker at least; by worker, why it is not (empty: it is).

        Where there is no room, something else has to leave, for which it waits so many seconds.
        """
        cold = next((site for site in self.ledger.sites(model) if not site.hot), None)
        if cold is not None:
            return await self.wardrobe.prove(model, name, cold.slots)
        sites = [site for site in self.ledger.sites(model) if self._has_room(site, name)]
        if sites:
            found = await asyncio.gather(*(self._flights.load(site, name) for site in sites))
            return {site.id: reason for site, reason in zip(sites, found, strict=True)}
        self._flights.forgive(name=name)
        try:
            async with asyncio.timeout(within):
                with self._demands.wishing(model, name):
                    return await self._placed(model, name)
        except TimeoutError:
            return {site.id: f"no slot came free within {within:g} s" for site in self.ledger.sites(model)}

    def evict(self, name: str) -> None:
        """Has it leave all workers, and nobody load it again."""
        self._flights.forgive(name=name)
        self._flights.evict(name, self.ledger.holders(name))

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

    def _elsewhere(self, model: str, name: str, besides: Collection[str]) -> None:
        """Those that hold it have failed somebody: a copy where there is room."""
        if self._stock.named(name) and besides and set(self.ledger.holders(name)).issubset(besides):
            others = (site for site in self.ledger.sites(model) if site.hot and site.id not in besides)
            able = [site for site in others if self._has_room(site, name)]
            for site in able[:1]:
                self._flights.begin(site, name)

    def remarks(self, worker: str) -> tuple[str, ...]:
        """What is not as it should be there, and what was not lately."""
        return (*self._flights.owed(worker), *self._remarks.get(worker, ()))

    def _remark(self, site: Site, what: str) -> None:
        self._figures.drifted(site.model)
        self._remarks[site.id] = (*self._remarks.get(site.id, ()), what)[-_REMARKS:]

    def _has_room(self, site: Site, name: str) -> bool:
        held = self.ledger.state(site.id, name)
        return held in {Residency.LOADING, Residency.RESIDENT} or (held is None and self.ledger.free(site.id) > 0)

    async def _placed(self, model: str, name: str) -> Mapping[str, str]:
        """Once some worker holds it, or every one has failed to."""
        while True:
            if holders := self.ledger.holders(name):
                return dict.fromkeys(holders, "")
            failed = {site.id: self._flights.failed(site.id, name) for site in self.ledger.sites(model)}
            if failed and all(failed.values()):
                return failed
            await self.ledger.change()

    async def _furnish(self, site: Site) -> None:
        """What somebody else's worker has held since before is proved again; then what it shall hold is loaded."""
        for name in sorted(await self._loading.listed(site) or ()):
            if self._stock.named(name) and self.ledger.free(site.id):
                await self._flights.prove(site, name)
        while (due := self._next(site)) is not None:
            await self._flights.load(site, due)

    async def _unpack(self, site: Site) -> None:
        """What it was started with is proved."""
        for name in site.given:
            await self._flights.prove(site, name)
            if self.ledger.state(site.id, name) is Residency.RESIDENT:
                self.wardrobe.proved(name)
                self._figures.loaded(site.model, name, 0.0)  # as part of a start
            else:
                self.wardrobe.refuse([name], self._flights.failed(site.id, name))

    def _fill(self, site: Site) -> None:
        while (name := self._next(site)) is not None:
            self._flights.begin(site, name)

    def _next(self, site: Site) -> str | None:
        """What to put into a free slot: what is pinned, what no other worker has, and what was used last."""
        if not self.ledger.free(site.id):
            return None
        tried = self._flights.refused(site.id)
        due = self._stock.due(site.model, self._recency.latest())
        able = [name for name in due if name not in tried and self.ledger.state(site.id, name) is None]
        first = self._stock.pinned(site.model).union(name for name in able if not self.ledger.known(name))
        return next((name for name in able if name in first), next((n for n in able if n in due[: site.slots]), None))
