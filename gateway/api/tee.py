"""A client's answer, and a copy of it: for the share of requests that a shadow's answer is compared with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from gateway.asgi import Headers
from gateway.client import Client, Source, Step

_MOST: Final = 1024 * 1024
"""Bytes of an answer that are kept; longer ones are not compared."""


class Tee:
    """A `Client`. Invariant: `heard` is what the client got, as long as that is not too much."""

    def __init__(self, client: Client) -> None:
        self._client: Final = client
        self._parts: Final = bytearray()
        self.ended = False
        """Whether the answer went out to its end."""

    @property
    def heard(self) -> bytes:
        """The answer's body; empty where it was too long."""
        return b"" if len(self._parts) > _MOST else bytes(self._parts)

    @property
    def begun(self) -> bool:
        return self._client.begun

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return self._client.loop

    def watch(self, gone: Callable[[], None]) -> None:
        self._client.watch(gone)

    def unwatch(self) -> None:
        self._client.unwatch()

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        self._keep(body)
        await self._client.whole(status, headers, body)
        self.ended = True

    async def start(self, headers: Headers) -> None:
        await self._client.start(headers)

    async def write(self, data: bytes) -> None:
        self._keep(data)
        await self._client.write(data)

    async def pour(self, source: Source, step: Step) -> None:
        while not step.over:
            if forwarded := step.take(await source.next()):
                await self.write(forwarded)

    async def end(self) -> None:
        await self._client.end()
        self.ended = True

    def _keep(self, data: bytes) -> None:
        if len(self._parts) <= _MOST:
            self._parts.extend(data)
