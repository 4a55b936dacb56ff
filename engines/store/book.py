"""Where it is decided what names stand for: by this host alone, or with others (`shared`). Asked by `adapters`."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from engines.store import records, rewriting, splits
from engines.store.database import Database
from engines.store.dossier import Dossier
from engines.store.files import Files
from engines.store.keeping import Keep, removable
from engines.store.records import Revision

Edit = Callable[[Dossier], Dossier]
"""Pure, for it may be tried several times. Raises `StoreRefused`."""


@dataclass(frozen=True, slots=True)
class Followed:
    """What came of a look at what other hosts have done."""

    changed: tuple[tuple[str, str], ...] = ()
    """Models and adapters whose rows are others now."""
    troubles: Mapping[str, str] = field(default_factory=dict)
    """By `model:adapter`, why this host does not follow; empty name: why nothing can be changed."""


class Book(Protocol):
    """Blocks; for a thread of its own. All raise `StoreFailed`."""

    def open(self) -> None:
        """Once, before anything else."""

    def change(self, model: str, adapter: str, change: Edit, sharing: Collection[str] = ()) -> Dossier:
        """Carry a change out, all of it or nothing; `sharing`: digests that others shall know from now on."""

    def meet(self, model: str, adapter: str) -> bool:
        """Whether a change would be taken now, and others' are taken over first; whether there were any."""

    def follow(self) -> Followed:
        """Take over what others have done since the last time."""

    def shared(self, model: str, adapter: str) -> frozenset[str]:
        """Digests of the revisions that others know."""

    def collect(self, loaded: Collection[str], now: float, keep: Keep) -> tuple[Revision, ...]:
        """Remove what nothing needs, files and rows; `loaded`: digests that workers hold."""


def needless(connection: sqlite3.Connection, loaded: Collection[str], now: float, keep: Keep) -> tuple[Revision, ...]:
    """What `keeping` says of this host's rows; what a split names is needed."""
    known = records.revisions(connection)
    adapters = {(each.model, each.adapter) for each in known}
    history = {name: records.history(connection, *name) for name in adapters}
    return removable(known, history, splits.digests(connection).union(loaded), now, keep)


class Alone:
    """Invariant: the rows of this host are all there is."""

    def __init__(self, database: Database, files: Files) -> None:
        self._database: Final = database
        self._files: Final = files

    def open(self) -> None:
        """See `Book`."""

    def change(self, model: str, adapter: str, change: Edit, sharing: Collection[str] = ()) -> Dossier:  # noqa: ARG002 - nobody to share with
        """See `Book`."""
        with self._database.transaction() as connection:
            known = rewriting.read(connection, model, adapter)
            to = change(known)
            rewriting.write(connection, known, to)
            return to

    def meet(self, model: str, adapter: str) -> bool:  # noqa: ARG002 - nobody to share with
        """See `Book`."""
        return False

    def follow(self) -> Followed:
        """See `Book`."""
        return Followed()

    def shared(self, model: str, adapter: str) -> frozenset[str]:  # noqa: ARG002 - nobody to share with
        """See `Book`."""
        return frozenset()

    def collect(self, loaded: Collection[str], now: float, keep: Keep) -> tuple[Revision, ...]:
        """See `Book`."""
        with self._files.alone():
            with self._database.transaction() as connection:
                gone = needless(connection, loaded, now, keep)
                free = records.forget(connection, gone)
            self._files.remove(free)
            return gone
