"""Hosts that share their adapters, in memory: annals that can be lost and taken away, stores that are real."""

from __future__ import annotations

import time
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from types import SimpleNamespace

from engines.adapters.against import Against
from engines.store.adapters import AdapterStore
from engines.store.annals import Mark, News
from engines.store.arrival import Arrival
from engines.store.depot import Depot
from engines.store.failures import StoreAway
from engines.store.keeping import Keep
from engines.store.records import Revision
from engines.store.shared import SharedBook
from registry.adapters import Canary
from tests import lora

ANY = Against()
NOTHING_KEPT = Keep(last=1, seconds=0.0)
SHAPES = lora.tensors(layers=1, rank=1)


class MemoryAnnals:
    """As Redis does it. Invariant: each change has a number of its own."""

    def __init__(self) -> None:
        self.generations = count(1)
        self.away = ""
        self.afterwards = ""
        """Why the next change is not answered, although it is made."""
        self.meets = lambda: None
        self.held: set[str] = set()
        self.meanwhile = []
        """Called before the next changes, one each."""
        self.flush()

    def flush(self) -> None:
        self.entries: dict[str, bytes] = {}
        self.changed: dict[str, int] = {}
        self.mark = Mark("", 0)

    def look(self, since: Mark | None) -> News:
        self.check()
        if since is None or since.generation != self.mark.generation:
            return News(self.mark, dict(self.entries), whole=True)
        news: Mapping[str, bytes] = {k: self.entries[k] for k, number in self.changed.items() if number > since.number}
        return News(self.mark, news, whole=False)

    def check(self) -> None:
        self.meets()
        if self.away:
            raise StoreAway(self.away)
        if not self.mark.generation:
            self.mark = Mark(f"g{next(self.generations)}", self.mark.number)

    def hold(self, digests) -> frozenset[str]:
        self.check()
        self.held |= set(digests)
        return frozenset(self.held)

    def get(self, name: str) -> bytes:
        self.check()
        return self.entries.get(name, b"")

    def put(self, name: str, known: bytes, to: bytes) -> bool:
        if self.meanwhile:
            self.meanwhile.pop(0)()
        if self.get(name) != known:
            return False
        self.mark = Mark(self.mark.generation, self.mark.number + 1)
        self.entries[name], self.changed[name] = to, self.mark.number
        lost, self.afterwards = self.afterwards, ""
        if lost:
            raise StoreAway(lost)
        return True


class Host:
    """One store of several, and what it is asked for in tests."""

    later = 0.0
    """Seconds that have gone by for the shared folder's files."""

    def __init__(self, root: Path, annals: MemoryAnnals, files: Path, clock: count) -> None:
        self.root, self.depot, self.clock = root, Depot(files, lambda: time.time() + self.later), clock  # noqa: TID251 (files have no other)
        root.mkdir(exist_ok=True)
        self.store = AdapterStore(
            root,
            clock=lambda: float(next(clock)),
            sharing=lambda *made: SharedBook(*made, annals, self.depot),
        )

    async def open(self) -> Host:
        await self.store.open()
        return self

    async def add(
        self, alpha: int, *, promote: bool = False, expected: str | None = None, adapter: str = "pirate"
    ) -> Revision:
        """Stored, as if proved, admitted."""
        folder = self.root.parent / f"adapter-{alpha}"
        if not folder.exists():
            lora.write(folder, lora.config(r=1, lora_alpha=alpha), SHAPES)
        kept = await self.store.add(Arrival("m", adapter, folder, who=self.root.name), ANY)
        return await self.store.admit(kept, self.root.name, expected, promote=promote)

    async def follow(self) -> Mapping[str, str]:
        """The troubles."""
        return (await self.store.follow()).troubles

    async def at(self) -> str:
        """What the name stands for."""
        return next((each.digest for each in await self.store.revisions() if each.current), "")

    async def split(self) -> Canary | None:
        """What stands behind the name."""
        return (await self.store.splits()).get(("m", "pirate"))

    async def all(self) -> list[tuple]:
        """Everything that hosts shall agree on."""
        known = [(r.digest, r.current, r.pinned, r.who) for r in await self.store.revisions()]
        return [*known, *await self.store.history("m", "pirate"), await self.split()]


async def two_hosts(root: Path) -> SimpleNamespace:
    """Hosts a and b; a has added an adapter, and both know it."""
    annals, clock, files = MemoryAnnals(), count(1000), root / "files"
    files.mkdir()

    async def host(name: str) -> Host:
        return await Host(root / name, annals, files, clock).open()

    made = SimpleNamespace(annals=annals, files=files, host=host, a=await host("a"), b=await host("b"))
    made.first = (await made.a.add(1)).digest
    assert (await made.a.follow(), await made.b.follow()) == ({}, {})
    return made


async def same(*hosts: Host) -> bool:
    """Whether they agree once they have followed."""
    for each in hosts:
        await each.follow()
    found = [await each.all() for each in hosts]
    return all(each == found[0] for each in found)
