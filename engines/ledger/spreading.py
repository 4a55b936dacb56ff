"""Where an adapter goes that somebody adds or promotes, and what makes room for it there. Pure; `steward` acts on it.

What is loaded afterwards, for requests, is `placement`'s to decide.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from engines.ledger.ledger import Lodger
from engines.ledger.picture import Residency


@dataclass(frozen=True, slots=True)
class Place:
    """A worker that serves, and what it holds."""

    slots: int
    lodgers: Mapping[str, Lodger]

    @property
    def roomy(self) -> bool:
        """Whether a slot is free."""
        return len(self.lodgers) < self.slots


@dataclass(frozen=True, slots=True)
class Spread:
    """Where a new adapter goes, and what leaves for it: (worker, adapter)."""

    workers: tuple[str, ...] = ()
    evict: tuple[tuple[str, str], ...] = ()


def spread(places: Mapping[str, Place], name: str, pinned: Collection[str] = ()) -> Spread:
    """Everywhere where there is room or it is already; else where what was used longest ago can go."""
    roomy = tuple(worker for worker, place in places.items() if name in place.lodgers or place.roomy)
    if roomy:
        return Spread(roomy)
    lodgers = [(worker, other, each) for worker, place in places.items() for other, each in place.lodgers.items()]
    going = [worker for worker, _, each in lodgers if each.state is Residency.LEAVING]
    if going:
        return Spread((going[0],))
    can_go = [
        (each.used, worker, other)
        for worker, other, each in lodgers
        if each.state is Residency.RESIDENT and other not in pinned
    ]
    if not can_go:
        return Spread(tuple(places)[:1])
    _, worker, other = min(can_go)
    return Spread((worker,), ((worker, other),))
