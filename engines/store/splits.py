"""Which names stand for several revisions, a table of its own. SQL only. Called by `adapters`, `book` and `rewriting`.

It is made when the store is opened, so the tables' version stays as it is. Before there was one, a file beside the
database had them, and a kill could come between its change and that of the rows. An Enginehouse of that time may have
had this store since the last one that knows the table: it moves names without a look at it.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from engines.atomic import synced
from engines.store import records
from engines.store.records import Why
from registry.adapters import Canary

FILE: Final = "splits.json"
"""What there was before."""
_TABLE: Final = """
CREATE TABLE IF NOT EXISTS splits (
    model TEXT NOT NULL, adapter TEXT NOT NULL, canary BLOB NOT NULL, PRIMARY KEY (model, adapter)
) STRICT
"""


def make(connection: sqlite3.Connection, root: Path) -> None:
    """The table, where it is not there yet, with what an older Enginehouse has left true of it, and no more.

    Where that one has written its file, the file is what it went by: a row that it does not name has ended.
    """
    connection.execute(_TABLE)
    of_old = _of_old(root / FILE)
    if of_old is not None:
        connection.execute("DELETE FROM splits")
        for name, canary in of_old.items():
            model, _, adapter = name.rpartition(":")
            put(connection, model, adapter, canary)
    for (model, adapter), canary in every(connection).items():
        if not _stands(connection, model, adapter, canary):
            put(connection, model, adapter, None)


def taken_over(root: Path) -> None:
    """The rows have what the file said. Raises `OSError`: if it stayed, it would win over what changes from now on."""
    (root / FILE).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # a file system that cannot sync a folder
        synced(root)


def of(connection: sqlite3.Connection, model: str, adapter: str) -> Canary | None:
    """None: the name stands for one revision."""
    row = connection.execute("SELECT canary FROM splits WHERE model = ? AND adapter = ?", (model, adapter)).fetchone()
    return _read(row["canary"]) if row else None


def every(connection: sqlite3.Connection) -> Mapping[tuple[str, str], Canary]:
    """By model and adapter."""
    found = connection.execute("SELECT model, adapter, canary FROM splits")
    known = (((row["model"], row["adapter"]), _read(row["canary"])) for row in found)
    return {name: canary for name, canary in known if canary is not None}


def put(connection: sqlite3.Connection, model: str, adapter: str, canary: Canary | None) -> None:
    """From now on."""
    connection.execute("DELETE FROM splits WHERE model = ? AND adapter = ?", (model, adapter))
    if canary is not None:
        connection.execute("INSERT INTO splits VALUES (?, ?, ?)", (model, adapter, msgspec.json.encode(canary)))


def digests(connection: sqlite3.Connection) -> frozenset[str]:
    """Of all revisions that some split names, the ones that are only compared too."""
    known = every(connection).values()
    return frozenset().union(*(each.digests for each in known))


def _read(raw: bytes) -> Canary | None:
    """One that is damaged has ended: the name then means what it is promoted to."""
    try:
        return msgspec.json.decode(raw, type=Canary)
    except msgspec.DecodeError:
        return None


def _stands(connection: sqlite3.Connection, model: str, adapter: str, canary: Canary) -> bool:
    """Whether nothing has ended it: every move does, and is a line of the history, as setting a split is."""
    moves = records.history(connection, model, adapter)
    listed = {each.digest for each in records.revisions(connection, model, adapter)}
    return bool(moves) and moves[-1].why is Why.SPLIT and canary.digests <= listed


def _of_old(place: Path) -> Mapping[str, Canary] | None:
    """None: there is none. A file that is damaged ends all splits."""
    try:
        return msgspec.json.decode(place.read_bytes(), type=dict[str, Canary])
    except OSError:
        return None
    except msgspec.DecodeError:
        return {}
