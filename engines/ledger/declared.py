"""What the registry file says of adapters, made so: declared ones, pinned ones, folders that are watched.

Told of every registry by `supervisor.reconcile`, run by `lodgings`. The file wins over what is stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from engines.ledger.desk import Desk
from engines.ledger.events import AdapterDeclined, AdapterTaken
from engines.ledger.stock import Stock
from engines.ledger.watchfolder import Arrival, WatchFolder
from registry.adapter_orders import Adapted, AdapterRefusal, AddAdapter
from registry.changes import EMPTY
from registry.misgivings import misgivings
from registry.spec import Registry

_HOPELESS: Final = range(400, 500)
"""Statuses that another try does not change."""


class Declared:
    """Invariant: a declaration is carried out once, again only if that failed and may not; the newest one counts."""

    def __init__(
        self,
        desk: Desk,
        stock: Stock,
        note: Path,
        announce: Callable[[AdapterTaken | AdapterDeclined], None],
        doubt: Callable[[Mapping[str, str]], None],
        every: float,
        again: Callable[[int], float],
    ) -> None:
        self._desk: Final = desk
        self._stock: Final = stock
        self._note: Final = note
        self._announce: Final = announce
        self._doubt: Final = doubt
        """Told of what the file says and hardly means, by model."""
        self._registry = EMPTY
        self._every: Final = every
        self._again: Final = again
        self._wanted: dict[tuple[str, str], str] = {}
        self._folders: dict[str, Path] = {}
        self._changed: Final[asyncio.Queue[tuple[str, str]]] = asyncio.Queue()

    def adopt(self, registry: Registry) -> None:
        """From now on the file says so."""
        self._desk.adopt(registry)
        self._registry = registry
        before = self._wanted
        rooms = {model: spec.adapters for model, spec in registry.models.items()}
        self._wanted = {(m, name): source for m, room in rooms.items() for name, source in room.declared.items()}
        self._folders = {model: Path(room.watch) for model, room in rooms.items() if room.watch}
        for model, room in rooms.items():
            self._stock.keep(model, frozenset(room.pinned))
        for key, source in self._wanted.items():
            if before.get(key) != source:
                self._changed.put_nowait(key)
        self.look()

    def look(self) -> None:
        """Hold the file against the adapters that there are, which have changed."""
        found = misgivings(self._registry, self._stock.names)
        self._doubt({model: "; ".join(said) for model, said in found.items()})

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch(group))
            while True:
                key = await self._changed.get()
                group.create_task(self._declare(*key, self._wanted.get(key, "")))

    async def _declare(self, model: str, adapter: str, source: str) -> None:
        failures = 0
        while self._wanted.get((model, adapter)) == source:
            answer = await self._add(model, adapter, source, "registry")
            if isinstance(answer, Adapted) or answer.status in _HOPELESS:
                return
            failures += 1
            await asyncio.sleep(self._again(failures))

    async def _watch(self, group: asyncio.TaskGroup) -> None:
        watched = WatchFolder(self._note)
        while True:
            await asyncio.sleep(self._every)
            for model, folder in tuple(self._folders.items()):
                for arrival in await asyncio.to_thread(watched.arrivals, folder):
                    if not await self._take(watched, model, folder, arrival):
                        group.create_task(self._take_later(watched, model, folder, arrival))

    async def _take(self, watched: WatchFolder, model: str, folder: Path, arrival: Arrival) -> bool:
        """Whether that is settled. Noted afterwards: a kill before it costs a second look, not the adapter."""
        answer = await self._add(model, arrival.adapter, str(arrival.path), f"watch {folder}")
        settled = isinstance(answer, Adapted) or answer.status in _HOPELESS
        if settled:
            await asyncio.to_thread(watched.settle, arrival)
        return settled

    async def _take_later(self, watched: WatchFolder, model: str, folder: Path, arrival: Arrival) -> None:
        """Until that is settled, or something else lies there, or nobody watches any more."""
        failures = 1
        while True:
            await asyncio.sleep(self._again(failures))
            if self._folders.get(model) != folder or not watched.newest(arrival):
                return
            if await self._take(watched, model, folder, arrival):
                return
            failures += 1

    async def _add(self, model: str, adapter: str, source: str, who: str) -> Adapted | AdapterRefusal:
        """Promoted. Where no worker serves yet, one that comes up proves it before it is ready."""
        current = self._stock.current(model, adapter)
        order = AddAdapter(model, adapter, source, who, promote=True)
        answer = await self._desk.obey(order, lambda _: None, later=True)
        if isinstance(answer, AdapterRefusal):
            self._announce(AdapterDeclined(model, adapter, answer.message))
            return answer
        done = answer if isinstance(answer, Adapted) else Adapted()
        if done.revision and (current is None or current.digest != done.revision.digest):
            self._announce(AdapterTaken(model, adapter, done.revision.digest))
        return done
