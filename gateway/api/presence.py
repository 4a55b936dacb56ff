"""Watches whether the client is still there, from the end of its request to the end of the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self, cast

from gateway.client import Client
from gateway.errors import ClientGone


class Presence:
    """While it is open, a client that leaves cancels what runs inside, which then ends as `ClientGone`.

    Like `asyncio.timeout`: one cancellation, which is taken back on the way out.
    """

    def __init__(self, client: Client, noted: Callable[[], None]) -> None:
        self._client: Final = client
        self._noted: Final = noted
        """Told at the moment in which the client leaves."""
        self._task: asyncio.Task[object] | None = None
        self._stop: Callable[[], None] | None = None
        self._left = False
        self._cancelling = 0
        """Cancellations that were there before: not ours."""

    async def __aenter__(self) -> Self:
        self._task = cast("asyncio.Task[object]", asyncio.current_task())
        self._cancelling = self._task.cancelling()
        self._stop = self._client.watch(self._gone)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stop is not None:
            self._stop()
        if self._left and self._task is not None:
            others = self._task.uncancel() > self._cancelling
            if isinstance(error, asyncio.CancelledError) and not others:
                raise ClientGone("The client left before the answer was complete.") from None

    def _gone(self) -> None:
        if self._task is not None and not self._left:
            self._left = True
            self._noted()
            self._task.cancel()
