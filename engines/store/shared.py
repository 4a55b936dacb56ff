"""The book of several hosts: what names stand for is decided in the annals, and then in this host's own rows too.

Whoever reads, reads this host's rows: all of it works on while the annals are away, but for changes. `adapters`
calls `change`, `engines.ledger.following` has it follow what other hosts do. Files come before rows: what others have
added is fetched from the depot, and is what its digest says, before a row names it.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from engines.store import entry, merging, records, rewriting, taken
from engines.store.annals import Annals, Mark, News
from engines.store.book import Edit, Followed, needless
from engines.store.database import Database
from engines.store.depot import Depot
from engines.store.dossier import Dossier
from engines.store.failures import FilesAway, StoreAway, StoreBusy, StoreFailed, told
from engines.store.files import Files
from engines.store.keeping import Keep
from engines.store.merging import Step
from engines.store.records import Revision

_TRIES: Final = 8
"""A change is begun anew so often because another host has changed the same adapter meanwhile."""
_WHOLE: Final = 120
"""Looks after which everything is compared, whatever has changed: a memory may be set back without a word."""
_AT_ONCE: Final = 100
"""Adapters that are taken over at one look."""
_AGAIN: Final = 10
"""Looks after which is tried again what could not be taken over."""


class SharedBook:
    """Invariant: this host's rows are what some entry of the annals said, the newest that it could take over."""

    def __init__(self, root: Path, database: Database, files: Files, annals: Annals, depot: Depot) -> None:
        self._root: Final = root
        self._database: Final = database
        self._files: Final = files
        self._annals: Final = annals
        self._depot: Final = depot
        self._mark: Mark | None = None
        self._looks = 0
        self._behind: Final[dict[str, str]] = {}
        """By `model:adapter`, why it could not be taken over."""
        self._seen: Final[dict[str, int]] = {}
        """By `model:adapter`, the entry that was looked at last: most are the same each time that all are compared."""
        self._due: set[str] = set()
        """The same, what is to be looked at next."""
        self._altered: Final[set[str]] = set()
        """The same, rows that are others now, and nobody was told: a look may be broken off."""
        self._folder = ""
        """Why files cannot be shared."""

    def open(self) -> None:
        """See `Book`."""
        with self._database.transaction() as connection:
            taken.make(connection)

    def change(self, model: str, adapter: str, change: Edit, sharing: Collection[str] = ()) -> Dossier:
        """See `Book`. Raises `StoreAway` where it cannot be decided, and nothing has changed then."""
        name = f"{model}:{adapter}"
        for _ in range(_TRIES):
            raw = self._annals.get(name)
            theirs = entry.decode(name, raw) if raw else None
            mine = self._mine(model, adapter)
            to = change(merging.ground(mine, theirs))
            offer = merging.offered(to, sharing)
            if theirs is not None and merging.equal(offer, theirs):
                self._take_or_owe(theirs)
                return to
            if not merging.told_again(offer, mine, theirs):
                offer = replace(offer, version=offer.version + 1, stamp=secrets.token_hex(8))
            known = frozenset(each.digest for each in theirs.revisions) if theirs else frozenset()
            self._bring(each.digest for each in offer.revisions if each.digest not in known)
            if self._annals.put(name, raw, entry.encode(offer)):
                self._seen.pop(name, None)  # an older entry, set back, is not the one that was looked at
                self._take_or_owe(offer)
                return to
        raise StoreBusy(f"{name} is being changed by other hosts all the time: try again")

    def meet(self, model: str, adapter: str) -> bool:
        """See `Book`."""
        self._annals.check()
        name = f"{model}:{adapter}"
        changed = self._settled(name, self._annals.get(name))
        if changed:
            self._altered.add(name)  # whoever asks may be stopped before it is published
        return changed

    def follow(self) -> Followed:
        """See `Book`. Raises `StoreAway` where nothing has changed here; the next look then compares everything."""
        try:
            troubles = self._looked()
        except StoreAway as away:
            if not self._altered:
                raise
            troubles = self._behind | {"": str(away)}
        changed = sorted(self._altered)
        self._altered.difference_update(changed)
        return Followed(tuple(map(entry.named, changed)), troubles)

    def _looked(self) -> dict[str, str]:
        """The troubles."""
        again = self._looks % _AGAIN == 0
        since = None if self._looks % _WHOLE == 0 or (again and self._folder) else self._mark
        self._mark = None
        news = self._annals.look(since)
        names = set(news.entries) | self._due | (set(self._behind) if again else set())
        if news.whole:
            self._folder = self._mended(news.entries.values())
            with self._database.transaction() as connection:
                names |= taken.everything(connection)
        away = self._caught_up(sorted(names), news)
        self._looks += 1
        self._mark = None if away else news.mark
        trouble = news.trouble or self._folder
        return self._behind | ({"": trouble} if trouble else {})

    def _caught_up(self, names: list[str], news: News) -> str:
        """Of some of the names, so that what is taken is soon published; the others are due at the next look.

        Why nothing can be given to the annals, where that was tried, once: it is due again, and the others are taken.
        """
        left, away = _AT_ONCE, ""
        self._due = set(names)  # until they were looked at, whatever happens
        for name in names:
            raw = news.entries.get(name, b"") if news.whole or name in news.entries else self._annals.get(name)
            if name in self._behind or self._seen.get(name) != hash(raw):
                try:
                    if self._settled(name, raw, first=name not in self._seen, away=away):
                        self._altered.add(name)
                except StoreAway as fault:
                    away = str(fault)
                    self._owe(name, f"other hosts are not told yet what this one knows better ({away})")
                    continue
                self._seen[name] = hash(raw)
                left -= 1
            self._due.discard(name)
            if not left:
                break
        return away

    def shared(self, model: str, adapter: str) -> frozenset[str]:
        """See `Book`."""
        with self._database.transaction() as connection:
            known = taken.last(connection, model, adapter)
        return frozenset(each.digest for each in known.revisions) if known else frozenset()

    def collect(self, loaded: Collection[str], now: float, keep: Keep) -> tuple[Revision, ...]:
        """See `Book`. What a worker of any host holds is needed."""
        held = frozenset(loaded) | self._annals.hold(loaded)
        with self._database.transaction() as connection:
            gone = needless(connection, held, now, keep)
        for model, adapter in sorted({(each.model, each.adapter) for each in gone}):
            mine = tuple(each for each in gone if (each.model, each.adapter) == (model, adapter))
            self._altered.add(f"{model}:{adapter}")  # should a later one fail
            self._drop(model, adapter, mine)
        with suppress(StoreFailed):  # what is gone here is gone; the folder is swept another time
            self._sweep()
        return gone

    def _sweep(self) -> None:
        entries = self._annals.look(None).entries
        with self._database.transaction() as connection:
            known = records.digests(connection)
        self._depot.sweep(known.union(*(entry.digests(raw) for raw in entries.values())))

    def _drop(self, model: str, adapter: str, gone: tuple[Revision, ...]) -> None:
        """What others know goes with all hosts, what only this one knows goes here."""
        digests = frozenset(each.digest for each in gone)
        if digests & self.shared(model, adapter):
            self.change(model, adapter, lambda found: found.without(digests - found.needed))
        with self._files.alone():
            with self._database.transaction() as connection:
                mine = merging.mine(*taken.both(connection, model, adapter))
                own = digests & (mine.own - mine.needed)  # as it is now: others have acted since it was looked at
                free = records.forget(connection, tuple(each for each in gone if each.digest in own)) if own else ()
            self._files.remove(free)

    def _settled(self, name: str, raw: bytes, *, first: bool = False, away: str = "") -> bool:
        """Has both sides say the same; whether this host's rows have changed. What cannot be now is owed.

        Raises `StoreAway` where the annals had to be told; `away`: why they cannot be, and are not tried.
        """
        changed = False
        try:
            changed, lacking = self._settle(name, raw, again=first or name in self._behind, away=away)
        except FilesAway as missing:
            lacking = str(missing)
        except StoreAway:
            raise
        except StoreFailed as failed:
            lacking = str(failed)
        self._owe(name, lacking)
        return changed

    def _owe(self, name: str, lacking: str) -> None:
        """Empty: nothing is lacking."""
        if lacking:
            self._behind[name] = lacking
        else:
            self._behind.pop(name, None)

    def _settle(self, name: str, raw: bytes, *, again: bool, away: str) -> tuple[bool, str]:
        theirs = entry.decode(name, raw) if raw else None
        model, _, adapter = name.rpartition(":")  # where there is an entry, `decode` has looked at the name
        found = merging.step(self._mine(model, adapter), theirs)
        if found is Step.GIVE:
            if away:
                raise StoreAway(away)
            self.change(*entry.named(name), lambda known: known)
            return True, self._behind.get(name, "")
        if theirs is not None and (found is Step.TAKE or again):
            return self._take(theirs)
        return False, ""

    def _mine(self, model: str, adapter: str) -> Dossier:
        with self._database.transaction() as connection:
            return merging.mine(*taken.both(connection, model, adapter))

    def _bring(self, digests: Iterable[str]) -> None:
        """Files before rows: whoever hears of a revision finds it. One that this host lacks too came from elsewhere."""
        for digest in digests:
            place = self._files.place(digest)
            if place.is_dir():
                self._depot.put(digest, place)

    def _mended(self, entries: Iterable[bytes]) -> str:
        """Brings what the shared folder has lost; why it cannot be."""
        try:
            there = self._depot.listed()
            self._bring(frozenset[str]().union(*map(entry.digests, entries)) - there)
        except StoreFailed as failed:
            return str(failed)
        return ""

    def _take_or_owe(self, dossier: Dossier) -> None:
        """It is decided already; what fails now is done at a later look."""
        try:
            _, lacking = self._take(dossier)
        except StoreFailed as failed:
            lacking = str(failed)
        self._owe(dossier.name, lacking)

    def _take(self, dossier: Dossier) -> tuple[bool, str]:
        """Has the rows be those of `dossier`; whether they were others, and why they are not yet all of it.

        A revision whose files are not to be had is left out; where it is needed, nothing is taken.
        """
        with told(self._root), ExitStack() as stack:
            brought, lacking = self._brought(dossier, stack)
            for digest in dossier.needed & lacking.keys():
                raise lacking[digest]
            with self._files.alone():
                for digest, work in brought.items():
                    self._files.publish(work, digest)
                changed = self._write(dossier, lacking.keys())
        return changed, str(next(iter(lacking.values()), ""))

    def _brought(self, dossier: Dossier, stack: ExitStack) -> tuple[dict[str, Path], dict[str, StoreFailed]]:
        brought: dict[str, Path] = {}
        lacking: dict[str, StoreFailed] = {}
        for digest in (each.digest for each in dossier.revisions):
            if not self._files.place(digest).is_dir():
                work = stack.enter_context(self._files.work())
                try:
                    self._depot.fetch(digest, work)
                    brought[digest] = work
                except StoreFailed as failed:
                    lacking[digest] = failed
        return brought, lacking

    def _write(self, dossier: Dossier, lacking: Collection[str]) -> bool:
        with self._database.transaction() as connection:
            rows, known = taken.both(connection, dossier.model, dossier.adapter)
            if known is not None and known.version > dossier.version:
                return False  # it was overtaken
            to = merging.laid(rows, known, dossier, lacking)
            same = merging.equal(rows, to)
            if same and known is not None and known.stamp == dossier.stamp:
                return False
            free = rewriting.write(connection, rows, to)
            taken.note(connection, dossier)
        self._files.remove(free)
        return not same
