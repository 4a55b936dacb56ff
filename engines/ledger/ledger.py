"""THE truth about what is loaded where, by worker and by the engines' name of a revision. No I/O.

Written by `steward` and `flights`; `rounds` and `wardrobe` wait for its changes, and tell it of others'. A worker
publishes what `resident` says of it. The states are `picture.Residency`; all of them take a slot.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from engines.ledger.picture import Residency
from engines.ledger.site import Site
from registry.adapters import Resident


@dataclass(slots=True)
class Lodger:
    """One adapter on one worker."""

    state: Residency
    since: float
    """When it came to be so, by the supervisor's clock."""
    used: float
    """When it was last used."""
    hold: str = ""
    """While it is LEAVING: what gateways give back when they are done."""


class Ledger:
    """Invariant: lists the workers that live, and no other; `evicted` has been told of all that are LEAVING."""

    def __init__(self, clock: Callable[[], float], evicted: Callable[[tuple[Resident, ...]], None]) -> None:
        self._clock: Final = clock
        self._evicted: Final = evicted
        self._sites: Final[dict[str, Site]] = {}
        self._lodgers: Final[dict[str, dict[str, Lodger]]] = {}
        self._numbers: Final = itertools.count(1)
        self._news = asyncio.Event()

    def enter(self, site: Site) -> None:
        """A worker has come up, with nothing loaded."""
        self._sites[site.id] = site
        self._lodgers[site.id] = {}
        self.tell()

    def leave(self, worker: str) -> tuple[str, ...]:
        """A worker is gone, with all that it held; returns the holds that nobody need give back any more."""
        self._sites.pop(worker, None)
        gone = self._lodgers.pop(worker, {})
        holds = tuple(each.hold for each in gone.values() if each.hold)
        if holds:
            self._tell_evicted()
        self.tell()
        return holds

    def sites(self, model: str) -> tuple[Site, ...]:
        """The model's workers that serve now."""
        return tuple(site for site in self._sites.values() if site.model == model and site.open())

    def site(self, worker: str) -> Site | None:
        """The worker of this id, if it lives."""
        return self._sites.get(worker)

    def workers(self) -> tuple[Site, ...]:
        """All that live."""
        return tuple(self._sites.values())

    def lodgers(self, worker: str) -> dict[str, Lodger]:
        """What a worker holds, by the engines' name; a copy."""
        return dict(self._lodgers.get(worker, {}))

    def stays(self, worker: str) -> dict[str, tuple[Residency, float]]:
        """How each adapter is with a worker, and since when: another value, if anything has happened there."""
        return {name: (each.state, each.since) for name, each in self._lodgers.get(worker, {}).items()}

    def state(self, worker: str, name: str) -> Residency | None:
        """How an adapter is with a worker; None: it is not there."""
        lodger = self._lodgers.get(worker, {}).get(name)
        return lodger.state if lodger else None

    def resident(self, worker: str) -> tuple[str, ...]:
        """What requests may be sent to a worker for."""
        lodgers = self._lodgers.get(worker, {})
        return tuple(sorted(name for name, each in lodgers.items() if each.state is Residency.RESIDENT))

    def holders(self, name: str) -> tuple[str, ...]:
        """The workers on which an adapter is resident."""
        return tuple(worker for worker in self._lodgers if self.state(worker, name) is Residency.RESIDENT)

    def known(self, name: str) -> bool:
        """Whether any worker holds it, or is about to."""
        staying = {Residency.LOADING, Residency.RESIDENT}
        return any(self.state(worker, name) in staying for worker in self._lodgers)

    def free(self, worker: str) -> int:
        """Slots that nothing takes."""
        site = self._sites.get(worker)
        return max(0, site.slots - len(self._lodgers[worker])) if site else 0

    def used(self, worker: str, name: str) -> None:
        """A request was sent to it now."""
        if lodger := self._lodgers.get(worker, {}).get(name):
            lodger.used = self._clock()

    def begin(self, worker: str, name: str) -> None:
        """Nothing → LOADING; or it is to be loaded anew."""
        before = self._lodgers[worker].get(name)
        self._lodgers[worker][name] = Lodger(Residency.LOADING, self._clock(), self._clock())
        if before is not None:
            self._show(worker)
        self.tell()

    def settle(self, worker: str, name: str) -> None:
        """LOADING → RESIDENT, unless the worker is gone."""
        if lodger := self._lodgers.get(worker, {}).get(name):
            lodger.state, lodger.since, lodger.used = Residency.RESIDENT, self._clock(), self._clock()
            self._show(worker)

    def depart(self, worker: str, name: str) -> str:
        """RESIDENT → LEAVING; returns the hold. Requests are sent elsewhere before anybody is asked to let go."""
        lodger = self._lodgers[worker][name]
        lodger.state, lodger.since, lodger.hold = Residency.LEAVING, self._clock(), f"{worker}/{next(self._numbers)}"
        self._show(worker)
        self._tell_evicted()
        return lodger.hold

    def forget(self, worker: str, name: str) -> None:
        """It is not there any more; its slot is free."""
        lodger = self._lodgers.get(worker, {}).pop(name, None)
        if lodger is None:
            return
        if lodger.hold:
            self._tell_evicted()
        self._show(worker)

    async def change(self) -> None:
        """Waits for the next change of anything."""
        await self._news.wait()

    def tell(self) -> None:
        """Something has changed."""
        self._news.set()
        self._news = asyncio.Event()

    def _show(self, worker: str) -> None:
        if site := self._sites.get(worker):
            site.show()
        self.tell()

    def _tell_evicted(self) -> None:
        leaving = (
            Resident(worker, name, lodger.hold)
            for worker, lodgers in self._lodgers.items()
            for name, lodger in lodgers.items()
            if lodger.state is Residency.LEAVING
        )
        self._evicted(tuple(leaving))
