"""What a worker is told the time by, and where its news go. Made by `pool` and `main`, used by `worker`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from engines.supervisor.events import WorkerLost
from registry.snapshot import Loading, WorkerView


@dataclass(frozen=True, slots=True)
class Outlets:
    """Where a worker's news go."""

    show: Callable[[WorkerView], None]
    """The row on the board."""
    loading: Callable[[Loading], None]
    served_as: Callable[[str], None]
    started_in: Callable[[float], None]
    """Seconds from start to proof; the next start is expected to take as long."""
    settled: Callable[[int | None], Awaitable[None]]
    """The worker with this pid has been proved: what it takes can be measured."""
    announce: Callable[[WorkerLost], None]
    asleep: Callable[[], None]
    """Its engine has given back what it gives back."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Seconds: `now` for durations, `wall` for people."""

    now: Callable[[], float]
    wall: Callable[[], float]
