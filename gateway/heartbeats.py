"""Keeps a client whose stream waits for a worker from giving up: an SSE comment every now and then.

The first comment commits the 200; what fails after it is told by an error event. Used by `api.inference` around the
wait for a worker and its first token, and by `answers` while a stream waits for another worker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from gateway.client import SSE_HEADERS, Client
from gateway.tasks import Child

INTERVAL: Final = 15.0
"""Seconds between two comments."""
SOON: Final = 1.0
"""Seconds before the first one where the wait will be long: the model has to be loaded."""


def waiting() -> str:
    """What a comment says where there is nothing better to say."""
    return "waiting"


class Heartbeats:
    """An async context. Invariant: outside of it, nothing of ours writes to the client."""

    def __init__(
        self,
        client: Client,
        interval: float = INTERVAL,
        *,
        first: float | None = None,
        comment: Callable[[], str] = waiting,
    ) -> None:
        self._client: Final = client
        self._first: Final = interval if first is None else first
        self._comment: Final = comment
        self._interval: Final = interval
        self._timer: asyncio.TimerHandle | None = None
        self._beating: Child | None = None

    async def __aenter__(self) -> Self:
        self._timer = asyncio.get_running_loop().call_later(self._first, self._ring)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._beating is not None:
            await self._beating.stop()

    def _ring(self) -> None:
        self._beating = Child(self._beat())

    async def _beat(self) -> None:
        await self._client.start(list(SSE_HEADERS))
        while True:
            await self._client.write(b": %b\n\n" % " ".join(self._comment().split()).encode())
            await asyncio.sleep(self._interval)
