"""How HTTP comes in: uvicorn's protocol, with the few things that it leaves open closed.

Used by `server` only.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Sequence
from typing import ClassVar, Final, cast

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from gateway.asgi import Headers
from gateway.errors import GatewayError, HeadersTooLarge, InvalidRequest

HEADER_SECONDS: Final = 10.0
HEADER_BYTES: Final = 16 * 1024
HEADER_COUNT: Final = 100
"""What a request's headers may take, at most."""
BODY_SECONDS: Final = 30.0
BODY_RATE: Final = 1024.0
"""What a body may take: so many seconds, and one more for each so many bytes that have come."""
_TCP: Final = frozenset({socket.AF_INET, socket.AF_INET6})
_NOTSENT_LOWAT: Final = 25
"""TCP_NOTSENT_LOWAT, which Python has no name for."""
_UNSENT: Final = 64 * 1024
"""Bytes that a client's socket takes beyond what is on the wire."""
_KNOWN: Final = uvicorn.__version__ == "0.54.0"
"""Whether this is the uvicorn whose request cycle `_CycleWire` was written for; under another one, ASGI does it all."""


class _CycleWire:
    """`gateway.wire.Wire` over uvicorn's request cycle: does what `RequestResponseCycle.send` does, less the checks."""

    __slots__ = ("_cycle", "_protocol")

    def __init__(self, protocol: Protocol, cycle: RequestResponseCycle) -> None:
        self._protocol: Final = protocol
        self._cycle: Final = cycle

    @property
    def closed(self) -> bool:
        return self._cycle.disconnected or self._cycle.transport.is_closing()

    @property
    def full(self) -> bool:
        return self._cycle.flow.write_paused

    def on_lost(self, lost: Callable[[], None] | None) -> None:
        self._protocol.lost = lost

    def on_drained(self, drained: Callable[[], None] | None) -> None:
        self._protocol.drained = drained

    def open(self, status: int, headers: Headers, body: bytes = b"") -> None:
        cycle = self._cycle
        cycle.response_started = True
        cycle.waiting_for_100_continue = False
        lines = [STATUS_LINE[status]]
        for name, value in (*cycle.default_headers, *headers):
            lines += (name, b": ", value, b"\r\n")
        lines += (b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n", body)
        cycle.transport.write(b"".join(lines))

    def write(self, data: bytes) -> None:
        if not self._cycle.disconnected:
            self._cycle.transport.write(data)

    def close(self) -> None:
        cycle = self._cycle
        cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()

    def cut(self) -> None:
        self._cycle.transport.abort()


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol: offers its wire, bounds what a client may send and how slowly, refuses in our envelope.

    Invariant: what a connection was asked before it broke the rules is answered first, and nothing is written into it.
    """

    wired: ClassVar = _KNOWN
    lost: Callable[[], None] | None = None
    drained: Callable[[], None] | None = None
    _fresh = 0
    """Bytes of the present read."""
    _head_bytes = 0
    """Received since the last request's headers, or its body, were complete."""
    _in_body = False
    """Whether a body is being received."""
    _body_began = 0.0
    _body_bytes = 0
    _alarm: asyncio.TimerHandle | None = None
    """When what is incomplete must be complete."""
    _ahead: Sequence[RequestResponseCycle] = ()
    """Requests that a pipelining client sent before the last one."""
    _deaf = False
    """Whether nothing more is read: the connection ends with the answers that it owes."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._alarm = self.loop.call_later(HEADER_SECONDS, self._too_slow)
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in _TCP:
            # Without it a slow reader's socket takes megabytes before it says that it is full.
            sock.setsockopt(socket.IPPROTO_TCP, _NOTSENT_LOWAT, _UNSENT)

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        self._fresh = len(data)
        self._head_bytes += self._fresh
        self._unset_keepalive_if_required()
        self._parse(data)
        if (self._head_bytes or self._in_body) and not self.transport.is_closing():
            self._incomplete()

    def _parse(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.send_400_response("This is no HTTP request.")
        except httptools.HttpParserUpgrade as offer:
            self._stay(data[offer.args[0] :])

    def _stay(self, rest: bytes) -> None:
        """Pass over an offer to speak another protocol, such as the h2c that Java's client adds to every request.

        The parser has left HTTP, and takes the body for that protocol's: another one starts over without the offer.
        """
        method = self.parser.get_method()
        if method == b"CONNECT":
            self.send_400_response("This is no proxy.")
            return
        headers = [each for each in self.headers if each[0] not in {b"connection", b"upgrade", b"http2-settings"}]
        self.parser = httptools.HttpRequestParser(self)
        lines = [method, b" ", self.url, b" HTTP/1.1\r\n", *(b"%b: %b\r\n" % each for each in headers), b"\r\n", rest]
        self._parse(b"".join(lines))

    def _incomplete(self) -> None:
        """The last read ended in the middle of a body, or of a request's headers."""
        if self._in_body:
            self._body_bytes += self._fresh
            self._head_bytes = 0
            if self._alarm is None:
                self._body_began, self._body_bytes = self.loop.time(), 0
                self._alarm = self.loop.call_later(BODY_SECONDS, self._too_slow)
        elif self._head_bytes > HEADER_BYTES:
            self._refuse(HeadersTooLarge(f"The headers are longer than {HEADER_BYTES} bytes."))
        elif self._alarm is None and not self._owes:
            self._alarm = self.loop.call_later(HEADER_SECONDS, self._too_slow)

    @property
    def _owes(self) -> bool:
        """Whether a request is under way."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        return cycle is not None and not cycle.response_complete

    def _too_slow(self) -> None:
        self._alarm = None
        if self._in_body:
            if self.flow.read_paused:  # it is we who make it wait
                self._body_began = self.loop.time()
            due = self._body_began + BODY_SECONDS + self._body_bytes / BODY_RATE
            if self.loop.time() < due:
                self._alarm = self.loop.call_at(due, self._too_slow)
                return
        elif self._owes:
            return
        self.transport.abort()

    def _quiet(self) -> None:
        """Nothing is incomplete any more."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def on_headers_complete(self) -> None:
        self._quiet()
        if len(self.headers) > HEADER_COUNT or self._headers_too_long():
            self._refuse(HeadersTooLarge(f"At most {HEADER_COUNT} headers of {HEADER_BYTES} bytes in all are read."))
            raise ValueError  # for the parser, which must not go on to the body
        self._head_bytes = 0
        if self.parser.should_upgrade():
            return
        self._in_body = True
        before = cast("RequestResponseCycle | None", self.cycle)
        super().on_headers_complete()
        if self.pipeline and before is not None:
            self._ahead = [each for each in (*self._ahead, before) if not each.response_complete]
        if self.wired:
            # The application's task begins at the loop's next turn, so it finds the wire in its scope.
            self.scope["wire"] = _CycleWire(self, self.cycle)  # type: ignore[typeddict-unknown-key]

    def _headers_too_long(self) -> bool:
        if self._head_bytes <= HEADER_BYTES and self._fresh <= HEADER_BYTES:
            return False  # all of it, the body's beginning included, is short enough
        return sum(len(name) + len(value) for name, value in self.headers) > HEADER_BYTES

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        self._quiet()
        self._in_body = False
        self._head_bytes = 0
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        for cycle in self._ahead:  # uvicorn tells only the last one
            cycle.disconnected = not cycle.response_complete
            cycle.message_event.set()
        super().connection_lost(exc)
        self._quiet()
        if self.lost is not None:
            self.lost()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.drained is not None:
            self.drained()

    def send_400_response(self, msg: str) -> None:
        if not self._deaf:  # else it was refused with a better word already
            self._refuse(InvalidRequest(msg))

    def _refuse(self, error: GatewayError) -> None:
        """Answer what is no request, once everything that was one is answered."""
        self._deaf = True
        self._quiet()
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if cycle is not None and not cycle.response_complete:
            if not cycle.more_body:
                cycle.keep_alive = False
                return
            if cycle.response_started or self.pipeline:
                self.transport.abort()
                return
        body = error.body()
        self.transport.write(
            STATUS_LINE[error.answered_status]
            + b"content-type: application/json\r\nconnection: close\r\nx-request-id: req_%b\r\n"
            b"content-length: %d\r\n\r\n%b" % (os.urandom(12).hex().encode(), len(body), body)
        )
        self.transport.close()


class PortableProtocol(Protocol):
    """The same without the wire: answers go through ASGI's `send`, as under a uvicorn that we do not know."""

    wired = False
