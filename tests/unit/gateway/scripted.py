"""A worker that follows a script, on a real loopback socket: each request gets the next answer.

For tests that need bytes to cross a socket; everything else uses `Wire`, a transport without one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.unit.gateway.builders import turns

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bool]]
"""Answers one request; whether the connection stays open for the next one."""


def says(wire: bytes) -> Answer:
    """Write `wire` and wait for the next request."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        writer.write(wire)
        return True

    return answer


def closes(wire: bytes = b"") -> Answer:
    """Write `wire` and close."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        writer.write(wire)
        return False

    return answer


def hangs(wire: bytes = b"") -> Answer:
    """Write `wire`, then nothing until the other side leaves."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        writer.write(wire)
        await reader.read()
        return False

    return answer


@dataclass
class Scripted:
    """What the worker was asked, and how many connections it has seen."""

    answers: list[Answer]
    port: int = 0
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    aborted: int = 0
    """Connections that the other side left."""
    open: set[asyncio.StreamWriter] = field(default_factory=set)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while nobody is connected."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open.add(writer)
        self.left.clear()
        try:
            while await self.next(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            self.aborted += 1
        finally:
            self.open.discard(writer)
            if not self.open:
                self.left.set()
            writer.close()

    async def next(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.split(b"\r\n") if line.startswith(b"content-length: "))
        self.requests.append(head + await reader.readexactly(int(length.removeprefix(b"content-length: "))))
        return await self.answers.pop(0)(reader, writer)


@asynccontextmanager
async def scripted(*answers: Answer) -> AsyncIterator[Scripted]:
    """A worker on a free loopback port; at the end, everything that is open is aborted."""
    worker = Scripted(list(answers))
    server = await asyncio.start_server(worker.serve, "127.0.0.1", 0)
    worker.port = server.sockets[0].getsockname()[1]
    try:
        yield worker
    finally:
        await turns()
        server.close()
        for writer in tuple(worker.open):
            writer.transport.abort()
        await server.wait_closed()
        await turns()
