"""The placements that are compared, by name, and one that can be switched from outside. Used by `serve`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from engines import atomic
from engines.ledger.picture import Load, Move, Picture, Placement
from engines.ledger.placement import moves
from loadtests.adapters.others import affine, in_turn

OURS: Final = "enginehouse"


def placements() -> Mapping[str, Placement]:
    """By name, ours first. Each time anew: one of them counts."""
    return {OURS: moves, "round robin": in_turn(), "affinity only": affine}


class Switch:
    """A placement that is another one whenever a file says so, and notes what it decides in another file."""

    def __init__(self, folder: Path) -> None:
        self._chosen: Final = folder / "placement"
        self._moves: Final = folder / "moves"
        self._known: Final = placements()
        self._chosen.write_text(OURS)
        self._moves.write_text("")

    def __call__(self, picture: Picture) -> tuple[Move, ...]:
        """As the one that is chosen now decides."""
        decided = self._known[self._chosen.read_text()](picture)
        with self._moves.open("a") as log:
            log.writelines(_line(picture.now, move) for move in decided)
        return decided


def choose(folder: Path, name: str) -> None:
    """From the next round on; whole or not at all, as somebody may be reading it."""
    atomic.write(folder / "placement", name.encode(), durable=False)


def decided(folder: Path) -> tuple[int, int]:
    """(Loads, evictions) so far."""
    text = (folder / "moves").read_text()
    return text.count(" load "), text.count(" evict ")


def _line(now: float, move: Move) -> str:
    kind = "load" if isinstance(move, Load) else "evict"
    return f"{now:.3f} {kind} {move.adapter} {move.worker}: {move.reason.value}\n"
