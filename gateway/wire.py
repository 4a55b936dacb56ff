"""The direct way to a client's socket: the response's bytes go to the transport, without ASGI between.

`gateway.cycle` is the `Wire` of a request that took the short way; `gateway.client.AsgiClient` does the same work over
`send` for all others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

import msgspec

from gateway.asgi import Headers
from gateway.client import Source, Step, chunk_of
from gateway.exchange import Exchange


class Wire(Protocol):
    """One request's connection, as `gateway.protocol` offers it."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The one that it runs on."""

    @property
    def closed(self) -> bool:
        """Whether the client is gone."""

    @property
    def full(self) -> bool:
        """Whether the client takes less than it is sent."""

    def on_lost(self, lost: Callable[[], None] | None) -> None:
        """Whom to tell when the client leaves."""

    def on_full(self, full: Callable[[], None] | None) -> None:
        """Whom to tell when the client takes less than it is sent."""

    def on_drained(self, drained: Callable[[], None] | None) -> None:
        """Whom to tell when the client takes bytes again."""

    def open(self, status: int, headers: Headers, body: bytes = b"") -> None:
        """Write the status line, the headers and what there is of the body, at once."""

    def write(self, data: bytes) -> None:
        """Write bytes as they are."""

    def close(self) -> None:
        """The response is complete: the connection serves its next request."""


class WireClient(msgspec.Struct, eq=False):
    """A `gateway.client.Client` that writes to the transport; a chunk costs no task switch."""

    _wire: Wire
    _exchange: Exchange
    begun: bool = False
    _already: asyncio.Handle | None = None
    """Set where the client had left before anybody watched."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return self._wire.loop

    def watch(self, gone: Callable[[], None]) -> None:
        self._wire.on_lost(gone)
        if self._wire.closed:
            self._already = self.loop.call_soon(gone)

    def unwatch(self) -> None:
        self._wire.on_lost(None)
        if self._already is not None:
            self._already.cancel()

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        self._begin(status, [*headers, (b"content-length", b"%d" % len(body))], body)
        self._wire.close()

    async def start(self, headers: Headers) -> None:
        if not self.begun:
            self._begin(200, [*headers, (b"transfer-encoding", b"chunked")])

    async def write(self, data: bytes) -> None:
        if data:  # an empty chunk would end the stream
            self._wire.write(chunk_of(data))

    async def pour(self, source: Source, step: Step) -> None:
        pouring = _Pouring(self._wire, source, step)
        try:
            await pouring.done
        finally:
            pouring.stop()

    async def end(self) -> None:
        self._wire.write(b"0\r\n\r\n")
        self._wire.close()

    def _begin(self, status: int, headers: Headers, body: bytes = b"") -> None:
        self.begun = True
        self._exchange.status = status
        headers.append((b"x-request-id", self._exchange.request_id.encode()))
        self._wire.open(status, headers, body)


class _Pouring:
    """One stream on its way: a `Sink`. Invariant: the source flows exactly while the client takes what it is sent."""

    def __init__(self, wire: Wire, source: Source, step: Step) -> None:
        self._wire: Final = wire
        self._source: Final = source
        self._step: Final = step
        self._like: Final = step.likeness.has
        self._reframed: Final = step.reframed
        self._write: Final = wire.write
        self._held = False
        self._over = False
        self.done: Final[asyncio.Future[None]] = wire.loop.create_future()
        if step.over:
            self._finish(None)
            return
        wire.on_full(self._full)
        wire.on_drained(self._drained)
        source.flow(self)
        if wire.full:
            self._full()

    def again(self, read: bytes) -> bool:
        """Nearly every read of a stream."""
        if self._over or not self._like(read):
            return False
        self._write(read)
        return True

    def chunks(self, read: bytes, bodies: list[bytes]) -> bool:
        """Both sides speak the chunked coding: what is forwarded whole keeps its frames."""
        if self._over:
            return True
        chunks = self._reframed(read, bodies)
        if chunks is None:
            return False
        if chunks:
            self._write(chunks)
        return True

    def arrived(self, piece: bytes) -> None:
        if self._over:
            return
        forwarded = self._step.take(piece)
        if forwarded:
            self._write(chunk_of(forwarded))
        if self._step.over:
            self._finish(None)

    def broke(self, fault: Exception) -> None:
        self._finish(fault)

    def _full(self) -> None:
        if not self._held and not self._over:
            self._held = True
            self._source.hold()

    def _drained(self) -> None:
        if self._held and not self._over:
            self._held = False
            self._source.go_on()

    def stop(self) -> None:
        """Want nothing more of the wire, whose next request has its own wishes."""
        self._over = True
        self._wire.on_full(None)
        self._wire.on_drained(None)

    def _finish(self, fault: Exception | None) -> None:
        self.stop()
        if self.done.done():
            return
        if fault is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(fault)
