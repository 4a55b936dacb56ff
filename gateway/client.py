"""The way back to a client, behind one seam with two implementations that behave alike.

`AsgiClient` is the portable truth: ASGI's `receive` and `send`. `gateway.wire.WireClient` writes to the connection's
transport where our uvicorn protocol offers it, and saves a task and an awaited call for every chunk. `shortcut`
makes the one, `api.inference` the other; `answers` and `heartbeats` use it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from gateway.asgi import Headers, Receive, Send, body_message, start_message
from gateway.errors import ClientGone
from gateway.likeness import Likeness
from gateway.tasks import Child

SSE_HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)
WRITE_STALL: Final = 30.0
"""Seconds that a client may refuse to take a byte before it is cut."""


class Sink(Protocol):
    """Where a worker's body is pushed to."""

    def again(self, read: bytes) -> bool:
        """A read at whose beginning a chunk of HTTP's chunked coding begins: whether it was taken as it is."""

    def chunks(self, read: bytes, bodies: list[bytes]) -> bool:
        """A read that is nothing but whole chunks of HTTP's chunked coding with these `bodies`; False: not as it is."""

    def arrived(self, piece: bytes) -> None:
        """Everything else: a piece of the body, empty at its end."""

    def broke(self, fault: Exception) -> None:
        """Told once, instead of the end."""


class Source(Protocol):
    """A worker's body, as it is poured to a client."""

    async def next(self) -> bytes:
        """The next bytes; empty at the end."""

    def flow(self, sink: Sink) -> None:
        """From now on push everything into `sink`, instead of `next`."""

    def hold(self) -> None:
        """Stop flowing for a while: whoever takes it is slow."""

    def go_on(self) -> None:
        """Flow again."""


class Step(Protocol):
    """What happens to each piece on the way: purely."""

    @property
    def over(self) -> bool:
        """Whether nothing more is wanted."""

    @property
    def likeness(self) -> Likeness:
        """Of the reads to forward as they are; the same for as long as one source is poured."""

    def reframed(self, read: bytes, bodies: list[bytes]) -> bytes | None:
        """For whole chunks of HTTP's chunked coding with these `bodies`: the chunks to forward, where more is wanted
        after them; empty: none. None says nothing: `take` decides.
        """

    def take(self, piece: bytes) -> bytes:
        """The bytes to forward for one piece; `piece` is empty at the worker's end."""


class Client(Protocol):
    """Invariant: `begun` is true exactly when the response's status line went out, which happens at most once."""

    @property
    def begun(self) -> bool: ...

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The running one. asyncio asks the kernel each time that it looks for it (`getpid`)."""

    def watch(self, gone: Callable[[], None]) -> None:
        """Call `gone` when the client leaves, until `unwatch`."""

    def unwatch(self) -> None:
        """Stop watching."""

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        """A complete response."""

    async def start(self, headers: Headers) -> None:
        """Begin a stream with status 200; a stream that has begun is left alone."""

    async def write(self, data: bytes) -> None:
        """Some bytes of a stream."""

    async def pour(self, source: Source, step: Step) -> None:
        """Everything from `source` through `step` until that is over. Raises what `source` raises, or `ClientGone`."""

    async def end(self) -> None:
        """The stream is complete."""


class AsgiClient:
    """Over `receive` and `send`, under any ASGI server."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive: Final = receive
        self._send: Final = send
        self._watching: Child | None = None
        self.loop: Final = asyncio.get_running_loop()
        self.begun = False

    def watch(self, gone: Callable[[], None]) -> None:
        async def wait_for_disconnect() -> None:
            while (await self._receive())["type"] != "http.disconnect":
                pass
            gone()

        self._watching = Child(wait_for_disconnect())

    def unwatch(self) -> None:
        if self._watching is not None:
            self._watching.cancel()

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        self.begun = True
        length = (b"content-length", b"%d" % len(body))
        await self._send(start_message(status, [*headers, length]))
        await self._send(body_message(body, more=False))

    async def start(self, headers: Headers) -> None:
        if not self.begun:
            self.begun = True
            await self._send(start_message(200, headers))

    async def write(self, data: bytes) -> None:
        try:
            async with asyncio.timeout(WRITE_STALL):
                await self._send(body_message(data, more=True))
        except TimeoutError as stall:
            raise ClientGone("The client stopped reading.") from stall

    async def pour(self, source: Source, step: Step) -> None:
        while not step.over:
            forwarded = step.take(await source.next())
            if forwarded:
                await self.write(forwarded)

    async def end(self) -> None:
        await self._send(body_message(b"", more=False))


def chunk_of(data: bytes) -> bytes:
    """One chunk of HTTP/1.1's chunked coding; nothing for nothing, as an empty chunk would end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
