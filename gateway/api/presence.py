"""Watches whether the client is still there, from the end of its request to the end of the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

import msgspec

from gateway.client import Client
from gateway.errors import ClientGone
from gateway.exchange import Exchange


class Presence(msgspec.Struct, eq=False):
    """While it is open, a client that leaves cancels what runs inside, which then ends as `ClientGone`.

    Like `asyncio.timeout`: one cancellation, which is taken back on the way out.
    """

    _client: Client
    _exchange: Exchange
    _clock: Callable[[], float]
    _task: asyncio.Task[object] | None = None
    _left: bool = False
    _cancelling: int = 0
    """Cancellations that were there before: not ours."""

    def __enter__(self) -> Self:
        self._task = task = asyncio.current_task(self._client.loop)
        if task is not None:
            self._cancelling = task.cancelling()
        self._client.watch(self._gone)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.unwatch()
        if self._left and self._task is not None:
            others = self._task.uncancel() > self._cancelling
            if isinstance(error, asyncio.CancelledError) and not others:
                raise ClientGone("The client left before the answer was complete.") from None

    def _gone(self) -> None:
        if self._task is not None and not self._left:
            self._left = True
            self._exchange.left = self._clock()
            self._task.cancel()
