"""Who serves a connection's requests that take the short way: one task, one request after the other.

Fed by `gateway.protocol`. A task anew for each request, registered and told of at its end, would cost as much as
reading its headers.
"""

from __future__ import annotations

import asyncio
from typing import Final

from gateway.cycle import Cycle


class Turns:
    """Invariant: a task waits exactly while `_next` is set; it ends with the connection, or when it is cancelled."""

    def __init__(self, loop: asyncio.AbstractEventLoop, tasks: set[asyncio.Task[None]]) -> None:
        self._loop: Final = loop
        self._tasks: Final = tasks
        """The server's, which it waits for at its end."""
        self._next: asyncio.Future[Cycle | None] | None = None
        """Another whole request, or the connection's end."""

    def take(self, cycle: Cycle) -> None:
        """Serve `cycle`, which is whole; the one before it has its answer."""
        waiting, self._next = self._next, None
        if waiting is not None and not waiting.done():
            waiting.set_result(cycle)
            return
        task = self._loop.create_task(self._serve(cycle))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """No request will follow."""
        if self._next is not None and not self._next.done():
            self._next.set_result(None)

    async def _serve(self, first: Cycle) -> None:
        cycle: Cycle | None = first
        while cycle is not None:
            try:
                await cycle.serve()
            finally:
                cycle.ended()
            if cycle.closed:
                return
            self._next = self._loop.create_future()
            cycle = await self._next
