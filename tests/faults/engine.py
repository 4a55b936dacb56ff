"""A worker that speaks no dialect at all: it reads one request and then says whatever bytes a test gives it.

For answers that no engine would send, which `engines.fake` therefore cannot script. Used by `tests/faults`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

from registry.snapshot import WorkerState, WorkerView
from tests.waiting import STEP, eventually

PATIENCE: Final = 60.0
"""Seconds that it goes on talking to somebody who does not hang up."""


@dataclass
class RawEngine:
    """A listening worker; `calls` counts the requests that it has read."""

    port: int = 0
    calls: int = 0
    sent: int = 0
    """Bytes that the gateway took of its answers."""
    open: int = 0
    """Connections."""

    @property
    def view(self) -> WorkerView:
        return WorkerView(id=f"raw-{self.port}", url=f"http://127.0.0.1:{self.port}", state=WorkerState.READY)


Words = Callable[[], Iterable[bytes | None]]
"""What it says to each request, piece by piece; it may have no end."""


@asynccontextmanager
async def saying(words: Words, *, linger: bool = False) -> AsyncIterator[RawEngine]:
    """A worker that answers every request with `words`, then closes, or with `linger` waits until the gateway does.

    The gateway may read several pieces together; words that wait for something between two of them say `None` there
    until it has come.
    """
    engine = RawEngine()
    writers: list[asyncio.StreamWriter] = []

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        engine.open += 1
        writers.append(writer)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    await _answer(engine, words(), reader, writer)
                    if linger:
                        await reader.read()
        finally:
            engine.open -= 1
            writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", 0)
    engine.port = server.sockets[0].getsockname()[1]
    try:
        async with server:
            yield engine
    finally:
        for writer in writers:
            writer.transport.abort()
        await eventually(lambda: engine.open == 0, what="the end of the raw engine's conversations")


async def _answer(
    engine: RawEngine, words: Iterable[bytes | None], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    await reader.readexactly(int(length.partition(b":")[2]))
    engine.calls += 1
    for piece in words:
        if piece is None:
            await asyncio.sleep(STEP)
            continue
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0)
        engine.sent += len(piece)
