"""Has placements decided and carried out: as soon as somebody waits or a slot comes free, and now and then.

Run by `steward`. `placement` decides, purely; `flights` acts; what it decides from is put together here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from engines.ledger.flights import Flights
from engines.ledger.knowledge import Knowledge
from engines.ledger.picture import Evict, Held, Holder, Load, Picture, Placement
from engines.ledger.site import Site
from engines.ledger.wardrobe import Wardrobe
from registry.adapters import Unloadable
from registry.discretion import discreet

_SAVED: Final = 10
"""Rounds between two savings of what was used last."""
_SAID: Final = 200
"""Characters of what an engine says of an adapter, that clients are told."""


class Rounds:
    """Invariant: carries out what was decided from the present; nothing is decided while it is carried out."""

    def __init__(
        self,
        known: Knowledge,
        flights: Flights,
        wardrobe: Wardrobe,
        placement: Placement,
        despair: Callable[[tuple[Unloadable, ...]], None],
        clock: Callable[[], float],
        every: float,
    ) -> None:
        self._ledger: Final = known.ledger
        self._stock: Final = known.stock
        self._demands: Final = known.demands
        self._recency: Final = known.recency
        self._flights: Final = flights
        self._placement: Final = placement
        self._wardrobe: Final = wardrobe
        self._despair: Final = despair
        """Told of what no worker can be given."""
        self._clock: Final = clock
        self._every: Final = every
        self._serving: set[str] = set()
        self._unplaced: Final[dict[str, set[str]]] = {}
        """By model: what found all slots taken by what is pinned."""
        self._resident: Final[dict[str, set[str]]] = {}
        """By model, at the last round."""

    async def run(self) -> None:
        """Until cancelled."""
        rounds = 0
        while True:
            self._demands.news.clear()
            models = self._models()
            self._tell_who_serves({site.id for sites in models.values() for site in sites})
            for model, sites in models.items():
                self._once(model, sites)
            self._despair(tuple(each for model, sites in models.items() for each in self._hopeless(model, sites)))
            rounds += 1
            if rounds % _SAVED == 0:
                await asyncio.to_thread(self._recency.save)
            await self._pause()

    def _tell_who_serves(self, serving: set[str]) -> None:
        """A worker does not tell the ledger that it serves; whoever waits for one hears it from here."""
        if serving != self._serving:
            self._serving = serving
            self._ledger.tell()

    async def _pause(self) -> None:
        """Until there is news, or it is time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._every), asyncio.TaskGroup() as group:
                waits = {group.create_task(self._demands.news.wait()), group.create_task(self._ledger.change())}
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                for each in waits:
                    each.cancel()

    def _models(self) -> Mapping[str, list[Site]]:
        found: dict[str, list[Site]] = {}
        for site in self._ledger.workers():
            if site.open():
                found.setdefault(site.model, []).append(site)
        return found

    def _once(self, model: str, sites: list[Site]) -> None:
        by_id = {site.id: site for site in sites}
        for name in {name for site in sites for name in self._ledger.resident(site.id)}:
            if self._stock.named(name) is None:
                self._flights.evict(name, by_id)
        picture = self.picture(model, sites)
        for move in self._placement(picture) if all(site.hot for site in sites) else ():
            match move:
                case Load(worker, name):
                    self._flights.begin(by_id[worker], name)
                case Evict(worker, name):
                    self._flights.evict(name, (worker,))

    def _hopeless(self, model: str, sites: list[Site]) -> list[Unloadable]:
        """What each of the model's workers that serve has refused, and none is about to have."""
        workers = [site.id for site in sites]
        refused = frozenset.intersection(*(self._flights.refused(each) for each in workers))
        found = {name: self._flights.hopeless(name, workers) for name in refused}
        found |= self._wardrobe.hopeless(model)
        found |= dict.fromkeys(self._shut_out(model, sites), "all slots are taken by what is pinned")
        vain = {name: why for name, why in sorted(found.items()) if why and not self._ledger.known(name)}
        return [Unloadable(name, discreet(why)[:_SAID]) for name, why in vain.items() if self._stock.named(name)]

    def _shut_out(self, model: str, sites: list[Site]) -> set[str]:
        """What somebody has wanted since there is no slot that is not taken for good."""
        slots, pinned = max(site.slots for site in sites), sorted(self._stock.pinned(model))
        if len(pinned) < slots:
            self._unplaced.pop(model, None)
            return set()
        wanted = {wish.adapter for wish in self._demands.wishes(model)}
        shut_out = self._unplaced.setdefault(model, set())
        shut_out |= wanted
        shut_out.difference_update(pinned[:slots])
        return shut_out

    def picture(self, model: str, sites: list[Site]) -> Picture:
        """The model's workers that serve, and what is wanted of them."""
        resident = {name for site in sites for name in self._ledger.resident(site.id)}
        for name in resident - self._resident.get(model, set()):
            self._demands.answered(model, name)
        self._resident[model] = resident
        counts = self._demands.counts(model)
        copies = {name: self._ledger.holders(name) for name, (active, _) in counts.items() if active}
        holders = []
        for site in sites:
            held = tuple(
                Held(name, each.state, each.since, each.used, _part(counts, copies, name, site.id))
                for name, each in self._ledger.lodgers(site.id).items()
            )
            busy = sum(each.active for each in held)
            refuses = self._flights.refused(site.id)
            holders.append(Holder(site.id, site.slots, held, busy, site.id.rpartition(".")[0], refuses))
        wishes = self._demands.wishes(model)
        for wish in wishes:
            if self._ledger.holders(wish.adapter):
                self._demands.served(model, wish.adapter)
        wishes = tuple(wish for wish in wishes if self._stock.named(wish.adapter))
        expected = self._stock.due(model, self._recency.latest())[: min(site.slots for site in sites)]
        return Picture(
            now=self._clock(),
            holders=tuple(holders),
            wishes=wishes,
            rates=self._demands.rates(model),
            pinned=self._stock.pinned(model),
            expected=expected,
        )


def _part(counts: Mapping[str, tuple[int, int]], copies: Mapping[str, tuple[str, ...]], name: str, worker: str) -> int:
    """A worker's share of an adapter's requests: gateways say only how many there are, and spread them evenly."""
    active, holders = counts.get(name, (0, 0))[0], copies.get(name, ())
    if not active or worker not in holders:
        return 0
    return active // len(holders) + (holders.index(worker) < active % len(holders))
