"""What the store has, in memory: what names stand for, and what the snapshot says of it.

Refreshed by whoever has changed the store. Read for what shall be loaded (`steward`, `rounds`,
`wardrobe`). The store's own reads cost a thread and a transaction each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import Final

from engines.store.adapters import AdapterStore
from engines.store.failures import StoreFailed
from engines.store.records import Revision
from registry.adapters import AdapterView, Canary, encode, served_as

_MOST: Final = 256
"""Of one model, that are thought of when slots are to be filled: no worker has as many, hardly any house."""


class Stock:
    """Invariant: `publish` has been told of what the store had when it was last read."""

    def __init__(self, store: AdapterStore, publish: Callable[[bytes], None]) -> None:
        self.store: Final = store
        self._publish: Final = publish
        self._revisions: Final[dict[tuple[str, str], tuple[Revision, ...]]] = {}
        self._splits: Final[dict[tuple[str, str], Canary]] = {}
        self._views: Final[dict[tuple[str, str], bytes]] = {}
        """What is published of each adapter, encoded: of many, one changes."""
        self._names: Final[dict[str, set[str]]] = {}
        self._named: Final[dict[str, Revision]] = {}
        self._due: Final[dict[str, tuple[str, ...]]] = {}
        self._pinned: Final[dict[str, frozenset[str]]] = {}
        """Both by model, worked out anew when something of it has changed."""
        self._kept: Final[dict[str, frozenset[str]]] = {}
        """Adapters that the registry pins."""
        self._reading: Final = asyncio.Lock()
        """What was read first is published first: orders here and what other hosts did come side by side."""
        self.fault = ""
        """Why the store cannot be used; empty: it can."""

    async def open(self) -> None:
        """Reads all of it. One that cannot be used is said so, and costs no model its workers."""
        try:
            await self.store.open()
            known: dict[tuple[str, str], list[Revision]] = {}
            for each in await self.store.revisions():
                known.setdefault((each.model, each.adapter), []).append(each)
            splits = await self.store.splits()
        except StoreFailed as failed:
            self.fault = str(failed)
        else:
            for (model, adapter), revisions in known.items():
                self._put(model, adapter, tuple(revisions), splits.get((model, adapter)))
        self._tell()

    async def refresh(self, model: str, adapter: str) -> None:
        """Reads one adapter again, and publishes it. Raises `StoreFailed`."""
        await self.refresh_all([(model, adapter)])

    async def refresh_all(self, adapters: Collection[tuple[str, str]]) -> None:
        """The same of several, published at once. Raises `StoreFailed`, and none is published."""
        async with self._reading:
            read = [await self.store.standing(*name) for name in adapters]
            for each in read:
                self._put(each.model, each.adapter, each.revisions, each.split)
        if read:
            self._tell()

    async def meet(self, model: str, adapter: str) -> None:
        """Before one is changed: is as other hosts see it, where they share it. Raises `StoreFailed`: it cannot be."""
        if await self.store.meet(model, adapter):
            await self.refresh(model, adapter)

    def keep(self, model: str, adapters: frozenset[str]) -> None:
        """Whatever these names stand for is pinned: the registry says so."""
        self._kept[model] = adapters
        self._pinned.pop(model, None)

    def expect(self, revision: Revision) -> None:
        """It may be loaded, and is not published yet."""
        self._named[name_of(revision)] = revision

    def withdraw(self, revision: Revision) -> None:
        """It was expected in vain."""
        if not any(each.digest == revision.digest for each in self.of(revision.model, revision.adapter)):
            self._named.pop(name_of(revision), None)

    def _put(self, model: str, adapter: str, revisions: tuple[Revision, ...], canary: Canary | None) -> None:
        self._due.pop(model, None)
        self._pinned.pop(model, None)
        for each in (*self.of(model, adapter), *revisions):
            self._named.pop(name_of(each), None)
        if canary is None:
            self._splits.pop((model, adapter), None)
        elif canary != self._splits.get((model, adapter)):
            self._splits[model, adapter] = canary  # else the same object: it is the same split
        self._revisions[model, adapter] = revisions
        if not revisions:
            del self._revisions[model, adapter]
        if any(each.current for each in revisions):
            self._named.update({name_of(each): each for each in revisions})
            self._names.setdefault(model, set()).add(adapter)
            self._views[model, adapter] = encode([self._view(revisions)])[1:-1]
        else:
            self._names.get(model, set()).discard(adapter)
            self._views.pop((model, adapter), None)

    def of(self, model: str, adapter: str) -> tuple[Revision, ...]:
        """All revisions of one adapter, the oldest first."""
        return self._revisions.get((model, adapter), ())

    @property
    def names(self) -> Mapping[str, Collection[str]]:
        """By model, the adapters that stand for something."""
        return self._names

    def has(self, model: str, adapter: str = "") -> bool:
        """Whether there is any revision of this adapter; without a name, of any of the model's."""
        if adapter:
            return (model, adapter) in self._revisions
        return any(base == model for base, _ in self._revisions)

    def split(self, model: str, adapter: str) -> Canary | None:
        """The revisions behind the name; None: it stands for one. Another object is another split."""
        return self._splits.get((model, adapter))

    def current(self, model: str, adapter: str) -> Revision | None:
        """What a name stands for."""
        return next((each for each in self.of(model, adapter) if each.current), None)

    def named(self, name: str) -> Revision | None:
        """The revision that engines call so, if requests may ask for it, or will."""
        return self._named.get(name)

    def pinned(self, model: str) -> frozenset[str]:
        """What stays on the model's workers."""
        if model not in self._pinned:
            kept = self._kept.get(model, frozenset())
            mine = (each for (base, _), known in self._revisions.items() if base == model for each in known)
            pinned = (each for each in mine if each.pinned or (each.current and each.adapter in kept))
            self._pinned[model] = frozenset(map(name_of, pinned))
        return self._pinned[model]

    def due(self, model: str, latest: tuple[str, ...] = ()) -> tuple[str, ...]:
        """What the model's workers shall hold, as far as there is room: what is pinned, then what was used last, then
        what was added last. `latest` are names, the last used first.
        """
        if model not in self._due:
            self._due[model] = tuple(map(name_of, self._of_model(model, wanted=True)[:_MOST]))
        pinned = self.pinned(model)
        used = [name for name in latest if (found := self.named(name)) and found.model == model]
        return tuple(dict.fromkeys((*sorted(pinned), *used, *self._due[model])))

    def others(self, model: str) -> tuple[str, ...]:
        """Of a model, the other revisions that requests may ask for; what was added last comes first."""
        return tuple(name for name in map(name_of, self._of_model(model, wanted=False)) if name in self._named)

    def _of_model(self, model: str, *, wanted: bool) -> list[Revision]:
        mine = (each for (base, _), known in self._revisions.items() if base == model for each in known)
        return sorted((each for each in mine if self._wanted(each) is wanted), key=lambda each: -each.added)

    def _wanted(self, revision: Revision) -> bool:
        canary = self.split(revision.model, revision.adapter)
        shared = canary is not None and any(share.digest == revision.digest for share in canary.split)
        return revision.pinned or revision.current or shared

    def _tell(self) -> None:
        self._publish(b"[" + b",".join(self._views.values()) + b"]")

    def _view(self, known: tuple[Revision, ...]) -> AdapterView:
        current = next(each for each in known if each.current)
        return AdapterView(
            current.model,
            current.adapter,
            current.digest,
            tuple(each.digest for each in known),
            created=int(current.added),
            canary=self.split(current.model, current.adapter),
        )


def name_of(revision: Revision) -> str:
    """What engines call it."""
    return served_as(revision.model, revision.adapter, revision.digest)
