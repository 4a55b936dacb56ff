"""Reads the registry file again, and has it obeyed or says why not. Asked by `watch`, by SIGHUP and over `control`.

A file that is refused changes nothing: what is served stays as it is until a later one is right.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from engines.supervisor.board import Board
from engines.supervisor.events import Announce, Reloaded, ReloadRefused
from registry.changes import Change, steps
from registry.faults import RegistryRefused
from registry.orders import Steps
from registry.spec import Registry


class Adopt(Protocol):
    """Has the world match a registry; `again`: with what was rolled back tried once more. Returns what will be done."""

    def __call__(self, registry: Registry, *, again: bool) -> tuple[Change, ...]: ...


class Reload:
    """Invariant: files are read one after the other, so the newest one has the last word."""

    def __init__(
        self,
        read: Callable[[Path | None], Registry],
        adopt: Adopt,
        compare: Callable[[Registry], tuple[Change, ...]],
        board: Board,
        announce: Announce,
        wall: Callable[[], float],
    ) -> None:
        self._read: Final = read
        self._adopt: Final = adopt
        self._compare: Final = compare
        self._board: Final = board
        self._announce: Final = announce
        self._wall: Final = wall
        self._asked: Final[asyncio.Queue[asyncio.Future[Steps] | None]] = asyncio.Queue()

    def soon(self) -> None:
        """The file may be another one."""
        self._asked.put_nowait(None)

    async def ask(self, path: str | None = None) -> Steps:
        """Somebody wants it read now, and models that were rolled back tried again; what came of it.

        With a path: what the file there would change, and nothing is done.
        """
        if path is not None:
            return await self._plan(Path(path))
        answer: asyncio.Future[Steps] = asyncio.get_running_loop().create_future()
        self._asked.put_nowait(answer)
        return await answer

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            asked = await self._asked.get()
            answer = await self._once(again=asked is not None)
            if asked is not None and not asked.done():
                asked.set_result(answer)

    async def _plan(self, path: Path) -> Steps:
        found = await self._registry(path)
        return Steps(steps=steps(self._compare(found))) if isinstance(found, Registry) else Steps(faults=found)

    async def _once(self, *, again: bool) -> Steps:
        found = await self._registry(None)
        if not isinstance(found, Registry):
            self._board.reloaded("\n".join(found), self._wall())
            self._announce(ReloadRefused(found))
            return Steps(faults=found)
        taken = steps(self._adopt(found, again=again))
        self._board.reloaded("", self._wall())
        if taken or again:
            self._announce(Reloaded(taken))
        return Steps(steps=taken)

    async def _registry(self, path: Path | None) -> Registry | tuple[str, ...]:
        """What the file says, or its faults. Whatever it makes us stumble over, what is served stays as it is."""
        try:
            return await asyncio.to_thread(self._read, path)
        except RegistryRefused as refused:
            return tuple(str(fault) for fault in refused.faults)
        except Exception as bug:  # noqa: BLE001 (the outermost loop of reading)
            return (f"the registry could not be read, by a bug of ours: {bug!r}",)
