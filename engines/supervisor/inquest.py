"""Finds out why a worker ended: marks while it lives when it was well, reads its log when it does no longer.

Asked by `worker`; `endings` decides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engines.processes import logfile
from engines.supervisor import oomkills
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


@dataclass(frozen=True, slots=True)
class _Moment:
    kills: int | None = None
    """The kernel's count; None: not known."""
    written: int = 0
    """Bytes of its log."""


class Inquest:
    """Invariant: what the worker lived through is not held against it: it was found well by a look that began later.

    Only a token shows that the device answers: `/health` does not ask it.
    """

    def __init__(self, *, on_device: bool, counter: Callable[[int], Path] = oomkills.counter) -> None:
        self._on_device: Final = on_device
        self._counter: Final = counter
        self._kills: Path | None = None
        self._log: Path | None = None
        self._looked = self._well = self._proved = _Moment()

    def open(self, pid: int | None, log: Path | None) -> None:
        """A worker has been started, its log anew; no pid: on another machine, whose kernel we cannot ask."""
        self._kills = None if pid is None else self._counter(pid)  # now: a process that has ended is in no group
        self._log = log
        self._looked = self._well = self._proved = _Moment(self._count())

    def look(self) -> None:
        """It is about to be asked how it is: what happens during the answer may be its end."""
        self._looked = _Moment(self._count(), logfile.size(self._log) if self._log else 0)

    def well(self) -> None:
        """It was, at the last look: whoever was killed before was somebody else, or it got over it."""
        self._well = self._looked

    def proved(self) -> None:
        """It was well at the last look, and has made a token since."""
        self._proved = self._well = self._looked

    def find(self, how: str, *, ours: bool) -> Finding:
        """Why it ended; `ours`: we ended it, and `how` is why. Reads the log: not for an event loop."""
        now, log = self._count(), self._log
        kills = now - self._well.kills if now is not None and self._well.kills is not None else 0
        self._kills = self._log = None
        if log is None:
            return self._found(Death(how, ours=ours, oom_kills=max(0, kills)), ())
        written = logfile.tail(log, _READ, after=self._well.written)
        since = logfile.tail(log, _READ, after=self._proved.written)
        before = since[: max(0, len(since) - len(written))]
        death = Death(how, written, before, ours=ours, oom_kills=max(0, kills), on_device=self._on_device)
        return self._found(death, logfile.tail(log))

    def _found(self, death: Death, tail: tuple[str, ...]) -> Finding:
        found = ending(death)
        return Finding(found.cause, found.reason, tail)

    def _count(self) -> int | None:
        return None if self._kills is None else oomkills.count(self._kills)
