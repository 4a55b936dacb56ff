"""Finds out why a worker ended: watches the kernel's count while it lives, reads its log when it does no longer.

Asked by `worker`; `endings` decides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engines.supervisor import logfile, oomkills
from engines.supervisor.endings import Death, ending
from registry.causes import Cause

_READ: Final = 1000
"""Lines of a log's end: an engine's own traceback, and that of the server which lost it, come after the first cause."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is told of an end."""

    cause: Cause
    reason: str
    tail: tuple[str, ...]
    """The end of its log, for people."""


class Inquest:
    """Invariant: only what the kernel did since the worker was last well is held against its memory."""

    def __init__(self, *, on_device: bool, counter: Callable[[int], Path] = oomkills.counter) -> None:
        self._on_device: Final = on_device
        self._counter: Final = counter
        self._kills: Path | None = None
        self._before: int | None = None

    def open(self, pid: int | None) -> None:
        """A worker has been started; None: on another machine, whose kernel we cannot ask."""
        self._kills = None if pid is None else self._counter(pid)  # now: a process that has ended is in no group
        self.well()

    def well(self) -> None:
        """It lives: whoever was killed up to now was somebody else, or it got over it."""
        self._before = self._count()

    def find(self, how: str, log: Path | None, *, ours: bool) -> Finding:
        """Why it ended; `ours`: we ended it, and `how` is why."""
        now = self._count()
        kills = now - self._before if now is not None and self._before is not None else 0
        self._kills = None
        lines = logfile.tail(log, _READ) if log else ()
        found = ending(Death(how, lines, ours, max(0, kills), self._on_device))
        return Finding(found.cause, found.reason, lines[-logfile.SHOWN :])

    def _count(self) -> int | None:
        return None if self._kills is None else oomkills.count(self._kills)
