"""Watches whether the client is still there, from the end of its request to the end of the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from gateway.client import Client
from gateway.errors import ClientGone
from gateway.exchange import Exchange


class Presence:
    """While it is open, a client that leaves cancels what runs inside, which then ends as `ClientGone`.

    Like `asyncio.timeout`: one cancellation, which is taken back on the way out.
    """

    def __init__(self, client: Client, exchange: Exchange, clock: Callable[[], float]) -> None:
        self._client: Final = client
        self._exchange: Final = exchange
        self._clock: Final = clock
        self._task: asyncio.Task[object] | None = None
        self._left = False
        self._cancelling = 0
        """Cancellations that were there before: not ours."""

    def __enter__(self) -> Self:
        self._task = task = asyncio.current_task()
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
