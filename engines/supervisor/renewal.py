"""Who is replaced, one by one, where workers can only be started with what they shall have. Pure; `crew` does it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Dressed:
    """A worker that is to stay, as far as is known."""

    number: int
    """Of its seat."""
    outfit: frozenset[str]
    ready: bool


@dataclass(frozen=True, slots=True)
class Aim:
    """What there shall be."""

    count: int
    outfit: frozenset[str]
    hold: bool = False
    """Whether nobody who serves leaves because of the outfit."""
    tight: bool = False
    """Whether there is no room for one more: who is replaced leaves first."""


def stale(each: Dressed, aim: Aim) -> bool:
    """Whether a worker has something else than it shall have."""
    return each.outfit != aim.outfit


def lacking(present: Sequence[Dressed], aim: Aim) -> int:
    """How many are to be started: those that are missing; else one beside those that it is to replace.

    One after the other: nobody while one that is as it shall be has still to become ready.
    """
    if len(present) < aim.count:
        return aim.count - len(present)
    surge = len(present) == aim.count and not aim.tight and any(stale(each, aim) for each in present)
    return int(surge and not coming(present, aim))


def relieved(present: Sequence[Dressed], aim: Aim) -> tuple[int, ...]:
    """Seats whose workers leave now: first those that have something else, of them those that do not serve, then those
    that have least of what is wanted. Somebody who serves stays, unless there is room for
    one alone.
    """
    pending, old = coming(present, aim), [each for each in present if stale(each, aim)]
    allowed = aim.count + (1 if old and (pending or aim.hold) else 0)
    if aim.tight and old and not pending and not (aim.hold and len(old) < len(present)):
        allowed = aim.count - 1
    ranked = sorted(present, key=lambda each: (not stale(each, aim), each.ready, _shared(each, aim), -each.number))
    surplus = max(0, len(present) - allowed)
    alone = aim.tight and aim.count == 1 and not pending
    served = alone or any(each.ready for each in ranked[surplus:])
    return tuple(sorted(each.number for each in ranked[:surplus] if served or not each.ready))


def coming(present: Sequence[Dressed], aim: Aim) -> bool:
    """Whether somebody who is as it shall be is not ready yet."""
    return any(not stale(each, aim) and not each.ready for each in present)


def trying(present: Sequence[Dressed], aim: Aim) -> bool:
    """Whether somebody who is as it shall be is there, and none of them is ready yet."""
    alike = [each for each in present if not stale(each, aim)]
    return bool(alike) and not any(each.ready for each in alike)


def _shared(each: Dressed, aim: Aim) -> int:
    return len(each.outfit & aim.outfit)
