"""What a worker says it holds, against what the ledger says. Pure; asked by `steward` at every probe."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Drift:
    """What is not as it should be."""

    lost: tuple[str, ...] = ()
    """The engine has dropped it: requests for it would be answered 404."""
    foreign: tuple[str, ...] = ()
    """Somebody has loaded it by hand, or a load ended after we had given it up: it takes a slot."""


def drift(resident: Collection[str], held: Collection[str], *, ours: bool) -> Drift:
    """`held` is what the worker lists. On a worker that is not ours only what has a name of ours is foreign."""
    lost = tuple(name for name in sorted(resident) if name not in held)
    foreign = tuple(name for name in sorted(held) if name not in resident and (ours or "@" in name))
    return Drift(lost, foreign)
