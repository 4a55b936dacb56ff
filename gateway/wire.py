"""The direct way to a client's socket, under the one uvicorn version that it is pinned to.

The request still comes through ASGI, with every middleware in force; only the response's bytes take the short way.
`gateway.protocol` puts a `Wire` into the scope of every request; without one, `gateway.client.AsgiClient` does the same
work over `send`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from gateway.asgi import Headers
from gateway.client import WRITE_STALL, Source, Step
from gateway.errors import ClientGone


class Wire(Protocol):
    """One request's connection, as `gateway.protocol` offers it."""

    @property
    def closed(self) -> bool:
        """Whether the client is gone."""

    @property
    def full(self) -> bool:
        """Whether the client takes less than it is sent."""

    def on_lost(self, lost: Callable[[], None] | None) -> None:
        """Whom to tell when the client leaves."""

    def on_drained(self, drained: Callable[[], None] | None) -> None:
        """Whom to tell when the client takes bytes again."""

    def open(self, status: int, headers: Headers, body: bytes = b"") -> None:
        """Write the status line, the headers and what there is of the body, at once."""

    def write(self, data: bytes) -> None:
        """Write bytes as they are."""

    def close(self) -> None:
        """The response is complete: the connection serves its next request."""

    def cut(self) -> None:
        """Give the connection up."""


class WireClient:
    """A `gateway.client.Client` that writes to the transport; a chunk costs no task switch."""

    def __init__(self, wire: Wire, opened: Callable[[int], None], own: Headers) -> None:
        self._wire: Final = wire
        self._opened: Final = opened
        """Told the status: no middleware sees the response's start."""
        self._own: Final = own
        """Headers that the middlewares would have added."""
        self.begun = False

    def watch(self, gone: Callable[[], None]) -> Callable[[], None]:
        self._wire.on_lost(gone)
        already = asyncio.get_running_loop().call_soon(gone) if self._wire.closed else None

        def stop() -> None:
            self._wire.on_lost(None)
            if already is not None:
                already.cancel()

        return stop

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        self._begin(status, [*headers, (b"content-length", b"%d" % len(body))], body)
        self._wire.close()

    async def start(self, headers: Headers) -> None:
        if not self.begun:
            self._begin(200, [*headers, (b"transfer-encoding", b"chunked")])

    async def write(self, data: bytes) -> None:
        if data:  # an empty chunk would end the stream
            self._wire.write(_chunk(data))

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
        self._opened(status)
        self._wire.open(status, [*headers, *self._own], body)


class _Pouring:
    """One stream on its way. Invariant: the source flows exactly while the client takes what it is sent."""

    def __init__(self, wire: Wire, source: Source, step: Step) -> None:
        self._wire: Final = wire
        self._source: Final = source
        self._step: Final = step
        self._loop: Final = asyncio.get_running_loop()
        self._stall: asyncio.TimerHandle | None = None
        self.done: Final[asyncio.Future[None]] = self._loop.create_future()
        if step.over:
            self._finish(None)
        else:
            source.flow(self._arrived, self._finish)

    def _arrived(self, piece: bytes) -> None:
        if self.done.done():
            return
        forwarded = self._step.take(piece)
        if forwarded:
            self._wire.write(_chunk(forwarded))
        if self._step.over:
            self._finish(None)
        elif self._wire.full and self._stall is None:
            self._source.hold()
            self._stall = self._loop.call_later(WRITE_STALL, self._stalled)
            self._wire.on_drained(self._drained)

    def _drained(self) -> None:
        self.stop()
        self._source.go_on()

    def _stalled(self) -> None:
        self._wire.cut()
        self._finish(ClientGone("The client stopped reading."))

    def stop(self) -> None:
        """Want nothing more of the wire, whose next request has its own wishes."""
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
            self._wire.on_drained(None)

    def _finish(self, fault: Exception | None) -> None:
        self.stop()
        if self.done.done():
            return
        if fault is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(fault)


def _chunk(data: bytes) -> bytes:
    """One chunk of HTTP/1.1's chunked coding."""
    return b"%x\r\n%b\r\n" % (len(data), data)
