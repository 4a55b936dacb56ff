"""Which file a seat's engine writes to, and which older ones go. Used by the launchers that start something."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from engines.launchers.launcher import Seat

_KEPT: Final = 3
"""Pools of a model whose logs are kept, the present one included. A model on demand may have many a day."""


def log_of(seat: Seat, folder: Path) -> Path:
    """The seat's log in `folder`. Those that its place had in pools long gone are removed."""
    for generation in range(1, seat.generation - _KEPT + 1):
        outdated = folder / f"{seat.named(generation)}.log"
        outdated.unlink(missing_ok=True)
        outdated.with_name(f"{outdated.name}.1").unlink(missing_ok=True)
    return folder / f"{seat.name}.log"
