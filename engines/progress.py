"""Progress of long work as values: who works reports them, who shows them subscribes. Nothing is printed here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """One report of one task. The last report of a task has `fraction == 1.0`."""

    task: str
    """Stable name of the whole task, for people: `environment vllm-cpu`, `weights smollm2-135m`, …"""
    step: str
    """What is being done now: `installing torch (12/146)`."""
    fraction: float | None = None
    """0…1; None: unknown."""
    eta: float | None = None
    """Seconds left; None: unknown."""


Report = Callable[[Progress], None]


def silent(_: Progress) -> None:
    """A `Report` for callers who do not care."""
