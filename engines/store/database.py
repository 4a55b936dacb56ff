"""The store's SQLite file: opened for one short transaction at a time, made where it is not there yet.

Used off the event loop, by `adapters` and by the `Book` that it asks. A connection belongs to one thread and one
transaction, so that nothing is shared between threads or kept over a fork; opening one takes a fraction of a
millisecond.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from engines.store.failures import damaged, told

VERSION: Final = 1
"""Of the tables. A newer one is refused. Whoever changes them writes the step from the version before."""
_OURS: Final = 0x656E6768
"""SQLite's `application_id`: "engh"."""
_PATIENCE: Final = 30.0
"""Seconds that a transaction waits for another's end."""

_TABLES: Final = """
CREATE TABLE contents (
    digest TEXT PRIMARY KEY, octets INTEGER NOT NULL, base_model TEXT NOT NULL, rank INTEGER NOT NULL,
    stored REAL NOT NULL
) STRICT;
CREATE TABLE revisions (
    model TEXT NOT NULL, adapter TEXT NOT NULL, digest TEXT NOT NULL REFERENCES contents (digest),
    source TEXT NOT NULL, who TEXT NOT NULL, added REAL NOT NULL, pinned INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (model, adapter, digest)
) STRICT;
CREATE TABLE aliases (
    model TEXT NOT NULL, adapter TEXT NOT NULL, digest TEXT NOT NULL, since REAL NOT NULL,
    PRIMARY KEY (model, adapter),
    FOREIGN KEY (model, adapter, digest) REFERENCES revisions (model, adapter, digest)
) STRICT;
CREATE TABLE history (
    number INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, who TEXT NOT NULL, why TEXT NOT NULL,
    model TEXT NOT NULL, adapter TEXT NOT NULL, was TEXT, now TEXT
) STRICT;
CREATE INDEX history_of ON history (model, adapter, number);
CREATE TABLE quarantine (
    number INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, who TEXT NOT NULL, model TEXT NOT NULL,
    adapter TEXT NOT NULL, source TEXT NOT NULL, place TEXT NOT NULL, findings TEXT NOT NULL
) STRICT;
"""


class Database:
    """Invariant: between two transactions, every reader sees the same whole state."""

    def __init__(self, place: Path, patience: float = _PATIENCE) -> None:
        self.place: Final = place
        self._patience: Final = patience

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One that writes: all of it or nothing, alone. Raises `StoreFailed`."""
        with told(self.place), contextlib.closing(self._open()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                if not self._ours(connection):
                    _lay_out(connection)
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One that only reads what is there, as it was when it began; neither waits for writers nor holds them up.

        Raises `StoreFailed`; also where nothing was made yet.
        """
        there = f"{self.place.absolute().as_uri()}?mode=rw"
        with (
            told(self.place),
            contextlib.closing(sqlite3.connect(there, self._patience, isolation_level=None, uri=True)) as connection,
        ):
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA query_only = ON")
            connection.execute("BEGIN")
            if not self._ours(connection):
                raise damaged(self.place, "it is empty")
            yield connection

    def examine(self) -> None:
        """Reads all of it once. Raises `StoreDamaged`."""
        with self.transaction() as connection:
            (said,) = connection.execute("PRAGMA quick_check").fetchone()
            if said != "ok":
                raise damaged(self.place, str(said).splitlines()[0])

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.place, timeout=self._patience, isolation_level=None)
        try:
            # A commit is an append to a journal of its own; FULL puts it on the disk before it is answered.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
        except BaseException:
            connection.close()
            raise
        connection.row_factory = sqlite3.Row
        return connection

    def _ours(self, connection: sqlite3.Connection) -> bool:
        """False: nothing was made yet."""
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (owner,) = connection.execute("PRAGMA application_id").fetchone()
        if version == VERSION and owner == _OURS:
            return True
        if version > VERSION and owner == _OURS:
            raise damaged(self.place, f"a newer Enginehouse has written it: version {version}, and this is {VERSION}")
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise damaged(self.place, "it is some other program's")
        return False


def _lay_out(connection: sqlite3.Connection) -> None:
    for statement in _TABLES.split(";\n"):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {_OURS}")
    connection.execute(f"PRAGMA user_version = {VERSION}")
