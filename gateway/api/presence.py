"""Watches whether the client is still there, from the end of its request to the end of the answer."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Final, Self, cast

from gateway.asgi import Receive
from gateway.errors import ClientGone


class Presence:
    """While it is open, a client that leaves cancels what runs inside, which then ends as `ClientGone`.

    Like `asyncio.timeout`: one watcher, one cancellation, which is taken back on the way out.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive: Final = receive
        self._watcher: asyncio.Task[None] | None = None
        self._task: asyncio.Task[object] | None = None
        self._left = False
        self.over = False
        """Set when the answer is complete: what the client does then concerns nobody."""

    async def __aenter__(self) -> Self:
        self._task = cast("asyncio.Task[object]", asyncio.current_task())
        # Ends in __aexit__, always: a TaskGroup would do the same at three times the cost, on every request.
        self._watcher = asyncio.get_running_loop().create_task(self._watch())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if self._watcher is not None:
            self._watcher.cancel()
        if self._left and self._task is not None:
            self._task.uncancel()
            if isinstance(error, asyncio.CancelledError):
                raise ClientGone("The client left before the answer was complete.") from None
        return False

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if not self.over and self._task is not None:
            self._left = True
            self._task.cancel()
