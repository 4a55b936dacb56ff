"""Models on demand: when one is loaded, when unloaded, and which of them makes room for another. Pure.

Asked by `attendance`, which acts. Times are seconds of one monotonic clock, sizes are bytes.

Loading costs, so a model that was loaded stays for a multiple of the time that it took: in any hour a model is loaded
at most 3600 / (load time x (1 + idle)) times, whatever is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from engines.thrift import Thrift


class Act(Enum):
    """What to do with a model."""

    KEEP = auto()
    LOAD = auto()
    UNLOAD = auto()


@dataclass(frozen=True, slots=True)
class Standing:
    """A model on demand, as it stands."""

    idle_after: float
    load_time: float
    """Seconds that loading it took, or will take."""
    dormant: bool
    """Whether it is neither loaded nor being loaded; its worker may be asleep."""
    admitted: bool
    """Whether it has memory."""
    ready_since: float | None
    """When it became ready; None: it has not yet."""
    used: float
    """When somebody last wanted anything of it."""
    busy: bool
    """Whether anybody does now."""
    wanted: bool
    """Whether somebody wants it while it is dormant."""
    spent: bool = False
    """Whether its worker slept, and cannot be woken."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A model that is loaded, or asleep, and what it would give back."""

    name: str
    size: int
    standing: Standing


@dataclass(frozen=True, slots=True)
class Room:
    """Who makes room now; nobody may have to, or may yet."""

    leave: tuple[str, ...]
    possible: bool
    """Whether there will be enough once everybody may be asked to leave."""


def decide(standing: Standing, now: float, thrift: Thrift) -> Act:
    """What to do with a model for its own sake."""
    if standing.spent:
        return Act.UNLOAD
    if standing.dormant:
        return Act.LOAD if standing.wanted else Act.KEEP
    unused = 0.0 if standing.busy else now - standing.used
    if not standing.admitted:
        return Act.UNLOAD if unused >= thrift.forgets else Act.KEEP
    if standing.ready_since is None:  # it may still come up, or it is held down: then the next request tries again
        return Act.UNLOAD if unused >= max(standing.idle_after, thrift.overdue * standing.load_time) else Act.KEEP
    return Act.UNLOAD if unused >= standing.idle_after and _stayed(standing, now, thrift.idle) else Act.KEEP


def yields(standing: Standing, now: float, thrift: Thrift) -> bool:
    """Whether it may be asked to leave for another one: one that sleeps always, for what it still holds."""
    asleep = standing.dormant and standing.admitted
    return asleep or _stayed(standing, now, thrift.busy if standing.busy else thrift.idle)


def make_room(missing: int, holders: Sequence[Holder], now: float, thrift: Thrift) -> Room:
    """Who leaves so that `missing` bytes become free: the least recently used first, and nobody in vain."""
    possible = sum(each.size for each in holders) >= missing
    asked = sorted((each for each in holders if yields(each.standing, now, thrift)), key=_order)
    if missing <= 0 or sum(each.size for each in asked) < missing:
        return Room((), possible)
    chosen: list[Holder] = []
    for each in asked:
        if sum(holder.size for holder in chosen) < missing:
            chosen.append(each)
    for each in tuple(chosen):  # a large one, chosen last, may make the small ones before it superfluous
        if sum(holder.size for holder in chosen) - each.size >= missing:
            chosen.remove(each)
    return Room(tuple(each.name for each in chosen), possible)


def _stayed(standing: Standing, now: float, times: float) -> bool:
    return standing.ready_since is not None and now - standing.ready_since >= times * standing.load_time


def _order(holder: Holder) -> tuple[bool, float]:
    standing = holder.standing
    return standing.busy, (standing.ready_since or 0.0) if standing.busy else standing.used
