"""The fake worker's HTTP/1.1: parses requests, writes answers, and breaks them as scripted.

`app` gives each connection a callable that answers one request; the connection cancels it when the client goes,
so an abort is noticed at once, as the real engines notice it.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

import httptools

from engines.fake.behaviour import Behaviour
from engines.fake.counts import Counts

_REASONS: Final = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}


class Gone(Exception):
    """The scripted end of a connection has come: nothing more can be sent on it."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request as it came; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


Answer = Callable[[Call, "Exchange"], Awaitable[None]]


class Exchange:
    """One answer on the wire. Invariant: one head, then its body, then one end; after a cut, `Gone`."""

    def __init__(self, connection: Connection, *, keep_alive: bool) -> None:
        self._connection: Final = connection
        self._keep_alive: Final = keep_alive
        self._chunks = 0
        self._sent = 0
        self.behaviour = Behaviour()
        self.begun = False
        self.left: Final = connection.lost
        """Set once the client has gone."""

    def obey(self, behaviour: Behaviour) -> None:
        """From now on this answer misbehaves as scripted."""
        self.behaviour = behaviour
        self._connection.stubborn = behaviour.ignore_disconnect

    async def plain(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """A whole answer with its Content-Length; JSON unless `headers` say otherwise."""
        length = len(body) + self.behaviour.wrong_length
        fields = {"content-type": "application/json", "content-length": str(length), **(headers or {})}
        self.begun = True
        await self._write(self._head(status, fields) + body)
        self._end()

    async def begin(self, status: int = 200) -> None:
        """The head of an event stream."""
        self.begun = True
        fields = {"content-type": "text/event-stream; charset=utf-8", "transfer-encoding": "chunked"}
        await self._write(self._head(status, fields))

    async def event(self, event: bytes, *, last: bool = False) -> None:
        """One whole server-sent event, framing included."""
        if self.behaviour.comments:
            event = b": a comment\n\n" + event
        if last and self.behaviour.no_final_newline:
            event = event.rstrip(b"\n")
        if self.behaviour.crlf:
            event = event.replace(b"\n", b"\r\n")
        broken = self._chunks == self.behaviour.bad_chunk_at
        self._chunks += 1
        size = b"zz" if broken else b"%x" % len(event)
        await self._write(size + b"\r\n" + event + b"\r\n")

    async def half(self, event: bytes) -> None:
        """The first half of an event, then a cut."""
        half = event[: len(event) // 2]
        await self._write(b"%x\r\n" % len(event) + half)
        self.cut()

    async def finish(self) -> None:
        """The end of an event stream."""
        await self._write(b"0\r\n\r\n")
        self._end()

    def cut(self) -> None:
        """Ends the connection now, whatever was promised. Raises `Gone`."""
        self._connection.drop(reset=self.behaviour.reset)
        raise Gone

    def _head(self, status: int, fields: Mapping[str, str]) -> bytes:
        lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}", "server: enginehouse-fake"]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        if self.behaviour.close or not self._keep_alive:
            lines.append("connection: close")
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    async def _write(self, wire: bytes) -> None:
        limit = self.behaviour.cut_at
        cut_now = limit is not None and self._sent + len(wire) >= limit
        if limit is not None and cut_now:
            wire = wire[: limit - self._sent]
        self._sent += len(wire)
        if self.behaviour.slice:
            await self._write_slices(wire, self.behaviour.slice)
        else:
            await self._connection.write(wire)
        if cut_now:
            self.cut()

    async def _write_slices(self, wire: bytes, size: int) -> None:
        for at in range(0, len(wire), size):
            await self._connection.write(wire[at : at + size])
            await asyncio.sleep(0)

    def _end(self) -> None:
        behaviour = self.behaviour
        if behaviour.close or behaviour.drop_keep_alive or behaviour.wrong_length or not self._keep_alive:
            self._connection.drop(reset=False)


class Connection(asyncio.Protocol):
    """One client connection. Invariant: its requests are answered one after the other, in order."""

    def __init__(self, group: asyncio.TaskGroup, answer: Answer, census: set[Connection], counts: Counts) -> None:
        self._group: Final = group
        self._answer: Final = answer
        self._census: Final = census
        self._counts: Final = counts
        self._calls: Final[deque[tuple[Call, bool]]] = deque()
        self._parser: Final = httptools.HttpRequestParser(self)
        self._writable: Final = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport
        self.lost: Final = asyncio.Event()
        self.stubborn = False
        """Set by the script: go on generating when the client has left."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 (the loop gives nothing else to a TCP server)
        self._transport = transport
        self._writable.set()
        self._census.add(self)
        self._counts.connections += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self._census.discard(self)
        self._counts.connections -= 1
        self.lost.set()
        self._writable.set()
        if self._task and not self.stubborn:
            self._task.cancel()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            self._transport.close()

    def on_message_begin(self) -> None:
        self._url = b""
        self._body = bytearray()
        self._headers: dict[str, str] = {}

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")
        if name.lower() == b"expect":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        method = self._parser.get_method().decode()
        call = Call(method, self._url.decode("latin-1").partition("?")[0], self._headers, bytes(self._body))
        self._calls.append((call, self._parser.should_keep_alive()))
        if self._task is None:
            self._task = self._group.create_task(self._answer_all())

    async def write(self, wire: bytes) -> None:
        """Sends `wire` once the client reads. Nothing is sent to a client that has left."""
        if not self._writable.is_set():
            await self._writable.wait()
        if not self._transport.is_closing():
            self._transport.write(wire)

    def drop(self, *, reset: bool) -> None:
        """Closes: after what was written (FIN), or at once with RST."""
        if reset:
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()
        else:
            self._transport.close()

    async def _answer_all(self) -> None:
        try:
            while self._calls and not self._transport.is_closing():
                call, keep_alive = self._calls.popleft()
                await self._answer(call, Exchange(self, keep_alive=keep_alive))
        except Gone:
            pass
        finally:
            self._task = None
