"""Which revisions may go, asked by `book`; what a name goes back to, asked by `dossier` and `desk`. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from engines.store.records import Move, Revision, Why


@dataclass(frozen=True, slots=True)
class Keep:
    """What is kept although no alias stands for it."""

    last: int = 5
    """Of each adapter that has an alias: how many revisions that it stood for, so that it can go back."""
    seconds: float = 24 * 3600.0
    """Anything younger: it may be on its way to an alias."""


KEEP: Final = Keep()


def removable(
    revisions: Sequence[Revision],
    history: Mapping[tuple[str, str], Sequence[Move]],
    loaded: Collection[str],
    now: float,
    keep: Keep = KEEP,
) -> tuple[Revision, ...]:
    """Those that no alias, pin, worker or way back needs. `loaded` are digests; `history` is by model and adapter."""
    aliased = {(each.model, each.adapter) for each in revisions if each.current}
    back = {(*name, digest) for name in aliased for digest in _last(history.get(name, ()), keep.last)}
    return tuple(
        each
        for each in revisions
        if not (each.current or each.pinned or each.digest in loaded)
        and (each.model, each.adapter, each.digest) not in back
        and now - each.added >= keep.seconds
    )


def _last(moves: Sequence[Move], count: int) -> list[str]:
    """The newest different digests that an alias stood for."""
    stood = dict.fromkeys(move.now for move in reversed(moves) if move.now is not None)
    return list(stood)[:count]


def before(moves: Sequence[Move]) -> str | None:
    """The digest that an alias with this history stood for before the one it stands for now; None: there is none.

    Going back twice goes back two steps: a way back is not itself a step to go back to.
    """
    stood: list[str | None] = []
    for move in (each for each in moves if each.why is not Why.SPLIT):
        stood = _back(stood) if move.why is Why.ROLLBACK else [*stood, move.now]
    stood = _back(stood)
    return stood[-1] if stood else None


def _back(stood: list[str | None]) -> list[str | None]:
    """Without the last step, nor the times before it when the alias stood for nothing."""
    left = stood[:-1]
    while left and left[-1] is None:
        left = left[:-1]
    return left
