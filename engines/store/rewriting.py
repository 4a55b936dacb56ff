"""A dossier out of the store's rows, and back into them. SQL only. Called by books, inside a transaction."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

from engines.store import records, splits
from engines.store.dossier import Dossier


def read(connection: sqlite3.Connection, model: str, adapter: str) -> Dossier:
    """What this host's rows say."""
    known, moves = records.revisions(connection, model, adapter), records.history(connection, model, adapter)
    return Dossier(model, adapter, known, moves, splits.of(connection, model, adapter))


def write(connection: sqlite3.Connection, known: Dossier, to: Dossier) -> tuple[str, ...]:
    """The rows are those of `known`, and are those of `to` afterwards; returns the digests that no row names any more.

    Rows of contents come first and go last: an alias never names what is not there.
    """
    listed = {each.digest: each for each in known.revisions}
    for each in to.revisions:
        if each.digest not in listed:
            records.keep(connection, each)
        elif (known_as := listed[each.digest]) != replace(each, pinned=known_as.pinned, current=known_as.current):
            records.amend(connection, each)
        if each.pinned is not (each.digest in listed and listed[each.digest].pinned):
            records.pin(connection, each, pinned=each.pinned)
    if known.at != to.at:
        records.stand(connection, to.model, to.adapter, to.at, to.moves[-1].at if to.moves else 0.0)
    if known.split != to.split:
        splits.put(connection, to.model, to.adapter, to.split)
    if to.moves[: len(known.moves)] == known.moves:
        records.tell(connection, to.model, to.adapter, to.moves[len(known.moves) :])
    else:
        records.untell(connection, to.model, to.adapter)
        records.tell(connection, to.model, to.adapter, to.moves)
    left = {each.digest for each in to.revisions}
    gone = tuple(each for each in known.revisions if each.digest not in left)
    return records.forget(connection, gone) if gone else ()
