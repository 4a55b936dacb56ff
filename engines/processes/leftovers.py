"""Remembers which keepers run, in `STATE/workers.json`, so that a later supervisor can end what an earlier one left.

Keepers end with their supervisor, so there is normally nothing left; a keeper that was killed together with it, or
is still in its grace, is found here. Owned by the supervisor that holds the state folder's lock.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from engines import atomic
from engines.processes import sessions


class Kept(msgspec.Struct, frozen=True):
    """One keeper: a session leader, named so that a reused pid is not mistaken for it."""

    pid: int
    birth: int
    boot: str


class Leftovers:
    """Invariant: the file lists every keeper that this supervisor has started and not yet seen end."""

    def __init__(self, path: Path) -> None:
        self._path: Final = path
        self._kept: Final[dict[int, Kept]] = {}

    def clear(self) -> int:
        """Kills what an earlier supervisor left running. Returns how many processes that were."""
        killed = sum(sessions.kill(kept.pid) for kept in self._read() if _is_same(kept))
        self._write()
        return killed

    def add(self, pid: int) -> None:
        """A keeper was started."""
        birth = sessions.birth(pid)
        if birth is not None:
            self._kept[pid] = Kept(pid, birth, sessions.boot())
            self._write()

    def remove(self, pid: int) -> None:
        """A keeper has ended, and nothing of its session is left."""
        self._kept.pop(pid, None)
        self._write()

    def _read(self) -> list[Kept]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=list[Kept])
        except (OSError, msgspec.DecodeError):
            return []

    def _write(self) -> None:
        with suppress(OSError):  # a full disk must not keep a worker from being stopped
            # No process outlives a loss of power, so there is nothing to wait for the disk for.
            atomic.write(self._path, msgspec.json.encode(list(self._kept.values())), durable=False)


def _is_same(kept: Kept) -> bool:
    """Whether the session is still that keeper's: alive itself, or dead while its children live on.

    A pid is not given out again while a session of that number exists, so only a living leader can be another.
    """
    return kept.boot == sessions.boot() and sessions.birth(kept.pid) in {None, kept.birth}
