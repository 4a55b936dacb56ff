"""What this host has taken over from the others last, by adapter: a table of its own. SQL only. Used by `shared`.

It is made where hosts share their adapters, and nobody else knows it, so the tables' version stays as it is.
"""

from __future__ import annotations

import sqlite3

from engines.store import entry, rewriting
from engines.store.dossier import Dossier
from engines.store.failures import StoreDamaged

_TABLE = """
CREATE TABLE IF NOT EXISTS taken (
    model TEXT NOT NULL, adapter TEXT NOT NULL, entry BLOB NOT NULL, PRIMARY KEY (model, adapter)
) STRICT
"""


def make(connection: sqlite3.Connection) -> None:
    """The table, where it is not there yet."""
    connection.execute(_TABLE)


def last(connection: sqlite3.Connection, model: str, adapter: str) -> Dossier | None:
    """What was taken last; None: nothing ever, or nothing that can be read."""
    row = connection.execute("SELECT entry FROM taken WHERE model = ? AND adapter = ?", (model, adapter)).fetchone()
    try:
        return entry.decode(f"{model}:{adapter}", bytes(row["entry"])) if row else None
    except StoreDamaged:
        return None


def note(connection: sqlite3.Connection, dossier: Dossier) -> None:
    """It is taken."""
    connection.execute(
        "INSERT INTO taken VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET entry = excluded.entry",
        (dossier.model, dossier.adapter, entry.encode(dossier)),
    )


def both(connection: sqlite3.Connection, model: str, adapter: str) -> tuple[Dossier, Dossier | None]:
    """The rows of an adapter, and what was taken last."""
    return rewriting.read(connection, model, adapter), last(connection, model, adapter)


def everything(connection: sqlite3.Connection) -> frozenset[str]:
    """`model:adapter` of all that this host knows."""
    found = connection.execute("SELECT model, adapter FROM revisions UNION SELECT model, adapter FROM taken")
    return frozenset(f"{row['model']}:{row['adapter']}" for row in found)
