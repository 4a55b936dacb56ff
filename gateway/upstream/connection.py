"""One keep-alive connection to a worker: an `asyncio.Protocol` that carries one exchange at a time.

Owned by `upstream.pool`. A slow reader pauses the worker's socket; a silent worker is cut at a deadline; leaving
an exchange half way aborts the connection, which is how an engine learns that nobody listens.
"""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

from gateway.deadline import Deadline
from gateway.upstream.faults import PeerClosed, ProtocolBroken, Silent, UpstreamError
from gateway.upstream.response import BadResponse, Response, whole_chunks

BUFFER_LIMIT: Final = 64 * 1024
"""Bytes of body held for a slow reader before the worker's socket is paused."""

RECEIVE: Final = 32 * 1024
"""SO_RCVBUF of a worker's socket, which the kernel doubles: no read, and so no stream, brings more at once."""

_COPIED: Final = 32 * 1024
"""Bytes of a request's body that are cheaper copied behind its head than sent as a second piece."""

DRAIN: Final = 1.0
"""Seconds that a worker has to end a body whose last meaningful byte was read."""


@dataclass(slots=True)
class Flow:
    """To whom a body is pushed, and how long the worker may be silent."""

    again: Callable[[bytes], bool]
    """Given a read at whose beginning a chunk begins: whether it was taken, as a whole chunk like others before."""
    chunks: Callable[[bytes, list[bytes]], bool]
    """Given a read that is nothing but whole chunks, and their bodies: whether it was taken as it is."""
    arrived: Callable[[bytes], None]
    """Given everything else: a piece of the body, empty at its end."""
    broke: Callable[[UpstreamError], None]
    """Told once, instead of the end."""
    idle: float | None
    """Seconds between two pieces."""
    left: float | None
    """Seconds until the end, from the flow's beginning."""


class Connection(asyncio.Protocol):
    """Invariant: at most one exchange is open, and `idle` is true exactly when another may begin."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop: Final = loop
        self._transport: asyncio.Transport | None = None
        self._received: Final = Response()
        self._response: Response | None = None
        """`_received`, while an exchange is open."""
        self._waiter: asyncio.Future[None] | None = None
        self._fault: UpstreamError | None = None
        self._paused = False
        self._deadline: Final = Deadline(loop, self._too_late)
        self._flow: Flow | None = None
        self._last: float = math.inf
        """When a flow must have ended."""
        self._keep: Callable[[Connection], None] | None = None
        """Set while the end of a body is drained."""

    # ---- what the pool and the worker call

    @property
    def idle(self) -> bool:
        """Whether a new exchange may begin."""
        return self._response is None and self._fault is None and self._transport is not None

    async def begin(self, head: bytes, body: bytes, limit: float | None) -> Response:
        """Send a request and wait, at most `limit` seconds, for the response's headers.

        Raises `UpstreamError`; whatever it raises, the connection is closed then.
        """
        if not self.idle or self._transport is None:
            raise self._fault or PeerClosed("the connection is closed")
        self._response = response = self._received
        response.expect()
        if len(body) <= _COPIED:
            self._transport.write(head + body)
        else:
            self._transport.writelines((head, body))
        self._expect_within(limit)
        try:
            while not response.headers_done and self._fault is None:
                await self._arrival()
        except BaseException:
            self._response = None
            self.abort()
            raise
        if self._fault is not None:
            raise self._fault
        return response

    async def read(self, limit: float | None) -> bytes:
        """The next bytes of the body; empty at its end. Waits at most `limit` seconds. Raises `UpstreamError`."""
        response = cast("Response", self._response)
        self._expect_within(limit)
        while not response.chunks and not response.complete:
            if self._paused:
                self._resume()
            if self._fault is None:
                await self._arrival()
            if self._fault is not None:
                raise self._fault
        self._deadline.at = None  # until the next read, it is the client who is waited for
        taken = response.take()
        if self._paused:
            self._resume()
        return taken

    def flow(self, flow: Flow) -> None:
        """Push the rest of the body to `flow`."""
        self._flow = flow
        self._last = math.inf if flow.left is None else self._loop.time() + flow.left
        self._expect_more(flow)
        if self._paused:
            self._resume()
        # Last, since whoever takes it may hold the flow, or leave it.
        response = cast("Response", self._response)
        if response.chunks or response.complete:
            self._push(response, flow)
        if self._flow is flow and self._fault is not None:
            flow.broke(self._fault)

    def hold(self) -> None:
        """Pause the worker's socket, without a limit on its silence."""
        self._deadline.at = None
        if not self._paused and self._transport is not None:
            self._transport.pause_reading()
            self._paused = True

    def go_on(self) -> None:
        """Read on after `hold`."""
        if self._flow is not None:
            self._expect_more(self._flow)
        if self._paused:
            self._resume()

    def _push(self, response: Response, flow: Flow) -> None:
        if response.chunks:
            flow.arrived(response.take())
        if response.complete and self._flow is flow:
            flow.arrived(b"")

    def leave(self, keep: Callable[[Connection], None], *, drain: bool) -> None:
        """End the exchange. `keep` is called if and when the connection can carry another; else it is aborted.

        `drain`: the rest of the body matters to nobody but has to be read before the connection can be used again.
        """
        self._flow = None
        if drain and self._fault is None and self._response is not None and not self._response.complete:
            self._keep = keep
            self._expect_within(DRAIN)
            if self._paused:
                self._resume()
            return
        self._settle(keep)

    def _settle(self, keep: Callable[[Connection], None]) -> None:
        response, self._response = self._response, None
        self._expect_within(None)
        if self._paused:
            self._resume()
        unsent = self._transport is not None and self._transport.get_write_buffer_size() > 0
        if self._fault is None and response is not None and response.complete and response.reusable and not unsent:
            keep(self)
        else:
            self.abort()

    def rest(self, seconds: float) -> None:
        """Close after `seconds` of idleness."""
        self._expect_within(seconds)

    def abort(self) -> None:
        """Close now, whatever is under way."""
        self._deadline.close()
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    # ---- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE)

    def data_received(self, data: bytes) -> None:
        flow = self._flow
        if (
            flow is not None
            and self._received.between
            and (flow.again(data) or ((bodies := whole_chunks(data)) and flow.chunks(data, bodies)))
        ):
            # Nearly every read of a stream: the parser stands between two chunks before it, and would after it.
            if flow.idle is not None and not self._paused:
                due = self._loop.time() + flow.idle
                self._deadline.at = due if due < self._last else self._last  # noqa: FURB136 - a call for every chunk
            return
        response = self._response
        if response is None:
            self._fail(ProtocolBroken("the worker sent bytes that nobody asked for"))
            return
        try:
            response.feed(data)
        except BadResponse as fault:
            self._fail(ProtocolBroken(f"not an HTTP response: {fault}", answered=True))
            return
        if flow is not None:
            self._expect_more(flow)
            self._push(response, flow)
            return
        if self._keep is not None:
            self._drained(response, self._keep)
            return
        if not self._paused and sum(map(len, response.chunks)) > BUFFER_LIMIT and self._transport is not None:
            self._transport.pause_reading()
            self._paused = True
        self._wake()

    def _drained(self, response: Response, keep: Callable[[Connection], None]) -> None:
        response.take()
        if response.complete:
            self._keep = None
            self._settle(keep)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        response = self._response
        answered = response is not None and response.begun
        if response is not None and exc is None:
            try:
                response.eof()
            except BadResponse as fault:
                self._fail(PeerClosed(str(fault), answered=answered))
                return
            if self._flow is not None:
                self._push(response, self._flow)
            self._wake()
            return
        self._fail(PeerClosed(str(exc) if exc else "the connection closed", answered=answered))

    # ---- waiting

    def _arrival(self) -> asyncio.Future[None]:
        """Done when bytes, an end or a fault has come."""
        self._waiter = waiter = self._loop.create_future()
        return waiter

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, fault: UpstreamError) -> None:
        if self._fault is None:
            self._fault = fault
        self.abort()
        flow, self._flow = self._flow, None  # the transport's own end follows: one failure is told once
        if flow is not None:
            flow.broke(self._fault)
        self._wake()

    def _resume(self) -> None:
        self._paused = False
        if self._transport is not None:
            self._transport.resume_reading()

    # ---- the deadline

    def _expect_within(self, seconds: float | None) -> None:
        if seconds is None:
            self._deadline.at = None
        else:
            self._deadline.within(seconds)

    def _expect_more(self, flow: Flow) -> None:
        left = self._last - self._loop.time()
        idle = left if flow.idle is None else min(flow.idle, left)
        self._expect_within(None if idle == math.inf else idle)

    def _too_late(self) -> None:
        answered = self._response is not None and self._response.begun
        self._fail(Silent("the worker sent nothing in time", answered=answered))
