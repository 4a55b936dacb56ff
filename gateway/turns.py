"""Who serves a connection's requests that take the short way: one task, one request after the other.

Fed by `gateway.protocol`. A task anew for each request, registered and told of at its end, would cost as much as
reading its headers.
"""

from __future__ import annotations

import asyncio
from typing import Final

from gateway.cycle import Cycle


class Turns:
    """Invariant: at most one task waits, for `_next`; it ends with the connection, or when it is
    cancelled. A second one is there for as long as the first still clears up behind an answer that is complete.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, tasks: set[asyncio.Task[None]]) -> None:
        self._loop: Final = loop
        self._tasks: Final = tasks
        """The server's, which it waits for at its end."""
        self._next: asyncio.Future[Cycle | None] | None = None
        """Another whole request, or the connection's end."""

    def take(self, cycle: Cycle) -> None:
        """Serve `cycle`, which is whole; the one before it has its answer."""
        if (waiting := self._waiting()) is not None:
            waiting.set_result(cycle)
            return
        task = self._loop.create_task(self._serve(cycle))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """No request will follow."""
        if (waiting := self._waiting()) is not None:
            waiting.set_result(None)

    def _waiting(self) -> asyncio.Future[Cycle | None] | None:
        """What a task waits for; None: no task waits."""
        return None if self._next is None or self._next.done() else self._next

    async def _serve(self, first: Cycle) -> None:
        cycle: Cycle | None = first
        while cycle is not None:
            try:
                await cycle.serve()
            finally:
                cycle.ended()
            if cycle.closed or self._waiting() is not None:
                return
            self._next = self._loop.create_future()
            cycle = await self._next
