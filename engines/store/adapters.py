"""The adapter store: revisions that never change, names that move at once, and nothing lost by a kill at any point.

`engines.ledger.desk` asks it: doctor → store → load on the workers → prove → `promote`. Everything that touches the
disk runs in a thread of its own; nothing here holds a connection or a lock between two calls.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, TypeVar, TypeVarTuple

from engines.adapters.against import Against
from engines.adapters.doctor import LIMITS, Facts, examine
from engines.adapters.findings import Finding
from engines.adapters.folder import NotThere
from engines.adapters.limits import Limits
from engines.store import records, rewriting, splits
from engines.store.arrival import Arrival
from engines.store.book import Alone, Book, Followed
from engines.store.database import Database
from engines.store.dossier import Dossier
from engines.store.failures import AdapterRefused, StoreDamaged, StoreFailed, StoreRefused, told
from engines.store.files import Files, digest_of, stage
from engines.store.keeping import KEEP, Keep
from engines.store.records import Move, Refusal, Revision
from registry import names
from registry.adapters import Canary

_QUARANTINED: Final = 8
"""How many refused adapters are kept to look at."""
_SAID: Final = 100
"""Findings of a refused one that are noted."""

_DECIDING: Final = 8
"""Threads that may ask Redis or the shared folder: where these hang, none is held that probes or reads need."""
T = TypeVar("T")
Ts = TypeVarTuple("Ts")

Sharing = Callable[[Path, Database, Files], Book]
"""With whom it is decided what names stand for, made from the store's folder, rows and files."""


class AdapterStore:
    """Invariant: every revision that is listed is whole on the disk, and an alias stands for exactly one of them."""

    def __init__(
        self, root: Path, clock: Callable[[], float], limits: Limits = LIMITS, sharing: Sharing | None = None
    ) -> None:
        self._files: Final = Files(root)
        self._database: Final = Database(root / "store.sqlite")
        self._book: Final = (
            sharing(root, self._database, self._files) if sharing else Alone(self._database, self._files)
        )
        self._root: Final = root
        self._clock: Final = clock
        """Seconds since 1970: a person reads them, after years and on other machines."""
        self._limits: Final = limits
        self._deciding: Final = ThreadPoolExecutor(_DECIDING, "adapters")

    async def open(self) -> None:
        """Make or examine it, and clear away what dead processes have left. Raises `StoreFailed`."""
        await asyncio.to_thread(self._open)

    async def add(self, arrival: Arrival, against: Against) -> Revision:
        """Store it as a revision; no name moves. The same content again is the same revision.

        Raises `AdapterRefused` with all findings, and keeps what was refused aside; `StoreFailed`.
        """
        return await asyncio.to_thread(self._add, arrival, against)

    async def admit(self, revision: Revision, who: str, expected: str | None, *, promote: bool) -> Revision:
        """It was proved: others may know it. If it is the first of its name, or with `promote`, its name stands for it.

        Raises `AliasMoved` unless the name stood for `expected` (empty: nothing), where that is given; `StoreFailed`.
        """
        return await self._decide(partial(self._admit, revision, who, expected, promote=promote))

    async def promote(self, model: str, adapter: str, digest: str, who: str, expected: str | None = None) -> Revision:
        """The name stands for this revision from now on, for everybody at once. `digest` may be a beginning of it.

        Raises `AliasMoved` unless it stood for `expected`, where that is given; `StoreFailed`.
        """
        return await self._decide(self._promote, model, adapter, digest, who, expected)

    async def rollback(self, model: str, adapter: str, who: str) -> Revision:
        """The name stands again for what it stood for before. Raises `StoreFailed`."""
        return await self._decide(self._rollback, model, adapter, who)

    async def remove(self, model: str, adapter: str, who: str) -> None:
        """The name stands for nothing; its revisions and pins may be collected. Raises `StoreFailed`."""
        await self._decide(self._remove, model, adapter, who)

    async def discard(self, revision: Revision) -> None:
        """As if it had never been added, unless a name stands for it or it is pinned. Raises `StoreFailed`."""
        await asyncio.to_thread(self._discard, revision)

    async def note_split(
        self, model: str, adapter: str, who: str, split: Canary | None = None, reason: str = ""
    ) -> None:
        """From now on several revisions stand behind the name, or no longer; it is on record. Raises `StoreFailed`."""
        await self._decide(self._note_split, model, adapter, who, split, reason)

    async def pin(self, model: str, adapter: str, digest: str, *, pinned: bool = True) -> Revision:
        """A pinned revision is never collected. Raises `StoreFailed`."""
        return await self._decide(partial(self._pin, model, adapter, digest, pinned=pinned))

    async def find(self, model: str, adapter: str, digest: str = "") -> Revision:
        """The revision that a request means: of this digest, or the name's own. Raises `StoreRefused`."""
        return await asyncio.to_thread(self._find, model, adapter, digest)

    async def revisions(self, model: str = "", adapter: str = "") -> tuple[Revision, ...]:
        """All, or those of a model or of an adapter, the oldest first. Raises `StoreFailed`."""
        return await asyncio.to_thread(self._revisions, model, adapter)

    async def standing(self, model: str, adapter: str) -> Dossier:
        """An adapter's revisions, and what is behind its name, of one moment. Raises `StoreFailed`."""
        return await asyncio.to_thread(self._standing, model, adapter)

    async def splits(self) -> Mapping[tuple[str, str], Canary]:
        """By model and adapter, which names stand for several revisions. Raises `StoreFailed`."""
        return await asyncio.to_thread(self._splits)

    async def history(self, model: str, adapter: str) -> tuple[Move, ...]:
        """Who moved the name, when, from what to what, the oldest first. Raises `StoreFailed`."""
        return await asyncio.to_thread(self._history, model, adapter)

    async def refusals(self) -> tuple[Refusal, ...]:
        """What was refused, the oldest first. Raises `StoreFailed`."""
        return await asyncio.to_thread(self._refusals)

    async def verify(self, revision: Revision) -> Path:
        """Where its files lie, read once more. Raises `StoreDamaged` where they are not what was stored."""
        return await asyncio.to_thread(self._verify, revision)

    async def meet(self, model: str, adapter: str) -> bool:
        """Whether what is changed now will be taken, where several hosts decide; whether others had changed something.

        Raises `StoreFailed`.
        """
        return await self._decide(self._book.meet, model, adapter)

    async def follow(self) -> Followed:
        """Takes over what other hosts have done. Raises `StoreFailed`."""
        return await self._decide(self._book.follow)

    async def collect(self, loaded: Collection[str], keep: Keep = KEEP) -> tuple[Revision, ...]:
        """Remove what nothing needs; `loaded` are the digests that workers hold. Raises `StoreFailed`."""
        return await self._decide(self._collect, frozenset(loaded), keep)

    def _decide(self, act: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._deciding, act, *args)

    def _open(self) -> None:
        with told(self._root):
            self._files.lay_out()
            self._database.examine()
            self._book.open()
            with self._files.alone(), self._database.transaction() as connection:
                splits.make(connection, self._root)
                self._files.sweep(records.digests(connection))
            splits.taken_over(self._root)

    def _add(self, arrival: Arrival, against: Against) -> Revision:
        arrival.check()
        with told(self._root), self._files.work() as work:
            try:
                stage(arrival.path, work, self._limits)
                found = examine(work, against, self._limits)
            except NotThere as refused:
                raise self._refused(arrival, (refused.finding,), work) from None
            if not found.healthy:
                raise self._refused(arrival, found.findings, work)
            return self._store(arrival, found.facts, work)

    def _store(self, arrival: Arrival, facts: Facts, work: Path) -> Revision:
        """Files first, rows then: what a kill in between leaves is swept, and no row is without its files."""
        digest, octets = digest_of(work)
        revision = Revision(
            model=arrival.model,
            adapter=arrival.adapter,
            digest=digest,
            source=arrival.asked,
            who=arrival.who,
            added=self._clock(),
            octets=octets,
            base_model=facts.base_model,
            rank=facts.rank,
        )
        with self._files.alone():
            self._files.publish(work, digest)
            with self._database.transaction() as connection:
                records.keep(connection, revision)
                return records.find(connection, arrival.model, arrival.adapter, digest)

    def _refused(self, arrival: Arrival, findings: tuple[Finding, ...], work: Path) -> AdapterRefused:
        """Aside with it; that it cannot be kept to look at must not hide why it was refused."""
        with contextlib.suppress(OSError, StoreFailed):
            place = self._files.quarantine(work, _QUARANTINED)
            said = tuple(map(str, findings[:_SAID]))
            refusal = Refusal(
                self._clock(), arrival.who, arrival.model, arrival.adapter, arrival.asked, str(place), said
            )
            with self._database.transaction() as connection:
                records.set_aside(connection, refusal)
        return AdapterRefused(arrival.asked, findings)

    def _admit(self, revision: Revision, who: str, expected: str | None, *, promote: bool) -> Revision:
        def change(known: Dossier) -> Dossier:
            return known.admitted(revision.digest, who, self._clock(), expected, promote=promote)

        return self._book.change(revision.model, revision.adapter, change, (revision.digest,)).find(revision.digest)

    def _promote(self, model: str, adapter: str, digest: str, who: str, expected: str | None) -> Revision:
        if not names.is_digest(digest):
            raise StoreRefused("a revision is named by 8 to 64 hexadecimal digits in lower case")
        change = partial(Dossier.promoted, digest=digest, who=who, at=self._clock(), expected=expected)
        return self._book.change(model, adapter, change).find()

    def _rollback(self, model: str, adapter: str, who: str) -> Revision:
        return self._book.change(model, adapter, partial(Dossier.rolled_back, who=who, at=self._clock())).find()

    def _remove(self, model: str, adapter: str, who: str) -> None:
        self._book.change(model, adapter, partial(Dossier.removed, who=who, at=self._clock()))

    def _discard(self, revision: Revision) -> None:
        shared = self._book.shared(revision.model, revision.adapter)
        with told(self._root), self._files.alone():
            with self._database.transaction() as connection:
                known = records.find(connection, revision.model, revision.adapter, revision.digest)
                stays = known.current or known.pinned or known.digest in shared
                free = records.forget(connection, () if stays else (known,))
            self._files.remove(free)

    def _note_split(self, model: str, adapter: str, who: str, split: Canary | None, reason: str) -> None:
        change = partial(Dossier.noted, who=who, at=self._clock(), split=split, reason=reason)
        self._book.change(model, adapter, change)

    def _pin(self, model: str, adapter: str, digest: str, *, pinned: bool) -> Revision:
        return self._book.change(model, adapter, partial(Dossier.pinned, digest=digest, pinned=pinned)).find(digest)

    def _find(self, model: str, adapter: str, digest: str) -> Revision:
        with self._database.reading() as connection:
            return records.find(connection, model, adapter, digest)

    def _revisions(self, model: str, adapter: str) -> tuple[Revision, ...]:
        with self._database.reading() as connection:
            return records.revisions(connection, model, adapter)

    def _standing(self, model: str, adapter: str) -> Dossier:
        with self._database.reading() as connection:
            return rewriting.read(connection, model, adapter)

    def _splits(self) -> Mapping[tuple[str, str], Canary]:
        with self._database.reading() as connection:
            return splits.every(connection)

    def _history(self, model: str, adapter: str) -> tuple[Move, ...]:
        with self._database.reading() as connection:
            return records.history(connection, model, adapter)

    def _refusals(self) -> tuple[Refusal, ...]:
        with self._database.reading() as connection:
            return records.refusals(connection)

    def _verify(self, revision: Revision) -> Path:
        place = self._files.place(revision.digest)
        try:
            found, _ = digest_of(place)
        except OSError as fault:
            raise StoreDamaged(f"{place} cannot be read ({fault.strerror}): add {revision.source} again") from None
        if found != revision.digest:
            raise StoreDamaged(f"{place} was changed on the disk: remove that folder and add {revision.source} again")
        return place

    def _collect(self, loaded: frozenset[str], keep: Keep) -> tuple[Revision, ...]:
        with told(self._root):
            return self._book.collect(loaded, self._clock(), keep)
