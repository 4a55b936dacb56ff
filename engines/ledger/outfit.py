"""Which adapters a worker is started with whose engine loads none while it runs. Pure; asked by `wardrobe`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outfit:
    """What the workers of a model are started with from now on."""

    names: frozenset[str] = frozenset()
    """As engines call them."""
    hold: bool = False
    """Whether workers that have something else stay for now although another one is there: what they have is published
    until that other one is."""


def chosen(
    pinned: Collection[str], tried: Sequence[str], due: Sequence[str], refused: Collection[str], slots: int
) -> frozenset[str]:
    """As many as there are slots: what is pinned, what is to be proved now, and then what is `due`, in that order."""
    able = (name for name in (*sorted(pinned), *tried, *due) if name not in refused)
    return frozenset(tuple(dict.fromkeys(able))[:slots])
