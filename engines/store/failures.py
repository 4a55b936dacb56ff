"""Why the store could not do as it was asked. Each message says what to do; callers show it as it is.

StoreFailed
├── StoreRefused       what was asked for cannot be: a name, a revision that is not there
│   ├── AdapterRefused the doctor has found something; it is in quarantine
│   └── AliasMoved     somebody else has moved the alias meanwhile
├── StoreFull          the disk is full; nothing half-made was kept
├── StoreBusy          another process has held the store for too long
├── StoreAway          what several hosts share cannot be reached; this host goes on with what it has
│   └── FilesAway      of that, the files
└── StoreDamaged       the database or a stored file is not what it was
"""

from __future__ import annotations

import contextlib
import errno
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from engines.adapters.findings import Finding

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_SCHEMA})
_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_PRIMARY: Final = 0xFF
"""The part of an extended code of SQLite's that says the kind."""


class StoreFailed(Exception):
    """Nothing was changed."""


class StoreRefused(StoreFailed):
    """What was asked for cannot be."""


class AdapterRefused(StoreRefused):
    """It cannot be served; `findings` says why."""

    def __init__(self, source: str, findings: tuple[Finding, ...]) -> None:
        said = "; ".join(map(str, findings[:3])) + (f"; and {len(findings) - 3} more" if len(findings) > 3 else "")
        super().__init__(f"{source} is refused: {said}")
        self.findings: Final = findings


class AliasMoved(StoreRefused):
    """The alias is not where the caller has seen it."""


class StoreFull(StoreFailed):
    """No space is left."""


class StoreBusy(StoreFailed):
    """Another process does not let go."""


class StoreAway(StoreFailed):
    """Redis or the shared folder is not there, or does not take what it is told."""


class FilesAway(StoreAway):
    """The shared folder is not there, or the files of a revision are not in it (yet)."""


class StoreDamaged(StoreFailed):
    """What is there is not what was stored."""


@contextlib.contextmanager
def told(place: Path, written: Path | None = None) -> Iterator[None]:
    """Turns what SQLite and the disk say about the store at `place` into our words.

    `written`: what is written to, where `place` is only read.
    """
    try:
        yield
    except sqlite3.Error as fault:
        raise _of_sqlite(fault, place) from fault
    except OSError as fault:
        if fault.errno in _FULL:
            raise StoreFull(
                f"the disk is full: {written or place}. Free some space, or move the state folder (--state); nothing "
                "half-made was kept"
            ) from fault
        # A source that cannot be read names itself.
        raise StoreFailed(f"{fault.filename or place}: {fault.strerror or fault}") from fault


def _of_sqlite(fault: sqlite3.Error, place: Path) -> StoreFailed:
    code = getattr(fault, "sqlite_errorcode", None)
    kind = code & _PRIMARY if isinstance(code, int) else None
    if kind in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}:
        return StoreFull(
            f"the disk is full, or does not take what is written to it: {place} ({fault}). Free some space"
        )
    if kind in _BUSY:
        return StoreBusy(f"another process has held {place} for too long ({fault}); see who, and try again")
    if kind in _DAMAGED:
        return damaged(place, str(fault))
    return StoreFailed(f"{place}: {fault}")


def damaged(place: Path, said: str) -> StoreDamaged:
    """The sentence for a database that cannot be trusted."""
    return StoreDamaged(
        f"{place} is damaged ({said}): stop Enginehouse and put back a copy, or move it away and add the adapters "
        f"again; their files are still in {place.parent / 'revisions'}"
    )
