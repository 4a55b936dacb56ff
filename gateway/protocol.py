"""How HTTP comes in: uvicorn's protocol, with the few things that it leaves open closed, and a short way for the many.

Used by `server` only.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Sequence
from typing import Any, Final

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from gateway.client import WRITE_STALL
from gateway.cycle import Cycle
from gateway.deadline import Deadline
from gateway.errors import GatewayError, HeadersTooLarge, InvalidRequest
from gateway.shortcut import Shortcut
from gateway.turns import Turns

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
"""Whether this is the uvicorn that `Cycle` was written for; under another one, every request goes the ASGI way."""


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol: takes the shortcut, bounds what a client may send and how slowly, refuses in our envelope.

    Invariant: what a connection was asked before it broke the rules is answered first, and nothing is written into it.
    """

    full: Callable[[], None] | None = None
    drained: Callable[[], None] | None = None
    """Whom to tell when the client takes less than it is sent, and when it takes bytes again."""
    _fresh = 0
    """Bytes of the present read."""
    _head_bytes = 0
    """Received since the last request's headers, or its body, were complete."""
    _in_body = False
    """Whether a body is being received."""
    _body_began = 0.0
    _body_bytes = 0
    _stall: asyncio.TimerHandle | None = None
    """Set while the client takes less than it was sent."""
    _idle = False
    """Whether the connection waits for its next request."""
    _ahead: Sequence[RequestResponseCycle | Cycle] = ()
    """Requests that a pipelining client sent before the last one."""
    _deaf = False
    """Whether nothing more is read: the connection ends with the answers that it owes."""
    _short: Cycle | None = None
    """The present message, if it takes the short way."""

    def __init__(self, shortcut: Shortcut | None, **uvicorns: Any) -> None:
        super().__init__(**uvicorns)
        self._shortcut: Final = shortcut if _KNOWN else None
        self._turns: Final = Turns(self.loop, self.tasks)
        self._deadline: Final = Deadline(self.loop, self._too_late)
        """When what is incomplete must be complete, or an idle connection is closed."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._deadline.within(HEADER_SECONDS)
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in _TCP:
            # Without it a slow reader's socket takes megabytes before it says that it is full.
            sock.setsockopt(socket.IPPROTO_TCP, _NOTSENT_LOWAT, _UNSENT)

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        self._fresh = len(data)
        self._head_bytes += self._fresh
        if self._idle:
            self._idle = False
            self._deadline.at = None
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
            if self._deadline.at is None:
                self._body_began, self._body_bytes = self.loop.time(), 0
                self._deadline.within(BODY_SECONDS)
        elif self._head_bytes > HEADER_BYTES:
            self._refuse(HeadersTooLarge(f"The headers are longer than {HEADER_BYTES} bytes."))
        elif self._deadline.at is None and not self._owes:
            self._deadline.within(HEADER_SECONDS)

    @property
    def _owes(self) -> bool:
        """Whether a request is under way."""
        cycle: RequestResponseCycle | Cycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _too_late(self) -> None:
        if self._idle:
            self.timeout_keep_alive_handler()
        else:
            self._too_slow()

    def _too_slow(self) -> None:
        if self._in_body:
            if self.flow.read_paused:  # it is we who make it wait
                self._body_began = self.loop.time()
            left = self._body_began + BODY_SECONDS + self._body_bytes / BODY_RATE - self.loop.time()
            if left > 0:
                self._deadline.within(left)
                return
        elif self._owes:
            return
        self.transport.abort()

    def on_message_begin(self) -> None:
        self.url = b""
        self.headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._deadline.at = None
        if len(self.headers) > HEADER_COUNT or self._headers_too_long():
            self._refuse(HeadersTooLarge(f"At most {HEADER_COUNT} headers of {HEADER_BYTES} bytes in all are read."))
            raise ValueError  # for the parser, which must not go on to the body
        self._head_bytes = 0
        if self.parser.should_upgrade():
            return
        self._in_body = True
        before: RequestResponseCycle | Cycle | None = self.cycle
        self._short = short = self._shortly() if before is None or before.response_complete else None
        if short is not None:
            self.cycle = short  # type: ignore[assignment]  # what uvicorn asks of it, it has
            return
        self._asgi_scope()
        super().on_headers_complete()
        if self.pipeline and before is not None:
            self._ahead = [each for each in (*self._ahead, before) if not each.response_complete]

    def _shortly(self) -> Cycle | None:
        """The request's cycle, if it may take the short way."""
        parser, shortcut = self.parser, self._shortcut
        if shortcut is None or parser.get_method() != b"POST" or parser.get_http_version() != "1.1":
            return None
        scope = {"type": "http", "method": "POST", "headers": self.headers, "client": self.client}
        operation = shortcut.admit(self.url, scope)
        return (
            None
            if operation is None
            else Cycle(self, shortcut, operation, scope, keep_alive=parser.should_keep_alive())
        )

    def _asgi_scope(self) -> None:
        """What uvicorn makes at the beginning of every message, made for those that need it."""
        url, headers = self.url, self.headers
        super().on_message_begin()
        self.url = url
        self.headers.extend(headers)
        self.expect_100_continue = any(
            name == b"expect" and value.lower() == b"100-continue" for name, value in headers
        )

    def _headers_too_long(self) -> bool:
        if self._head_bytes <= HEADER_BYTES and self._fresh <= HEADER_BYTES:
            return False  # all of it, the body's beginning included, is short enough
        return sum(len(name) + len(value) for name, value in self.headers) > HEADER_BYTES

    def on_body(self, body: bytes) -> None:
        if self._short is not None:
            self._short.receive(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        self._deadline.at = None
        self._in_body = False
        self._head_bytes = 0
        if self._short is not None:
            self._short.more_body = False
            self._turns.take(self._short)
        else:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        if self.pipeline or self.transport.is_closing():
            super().on_response_complete()
            return
        self.server_state.total_requests += 1
        self.flow.resume_reading()
        self._idle = True
        self._deadline.within(self.timeout_keep_alive)

    def connection_lost(self, exc: Exception | None) -> None:
        for ahead in self._ahead:  # uvicorn tells only the last one
            ahead.disconnected = not ahead.response_complete
            ahead.message_event.set()
        super().connection_lost(exc)
        self._deadline.close()
        self._unstall()
        self._turns.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stall is None:
            self._stall = self.loop.call_later(WRITE_STALL, self.transport.abort)
        if self.full is not None:
            self.full()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unstall()
        if self.drained is not None:
            self.drained()

    def _unstall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def send_400_response(self, msg: str) -> None:
        if not self._deaf:  # else it was refused with a better word already
            self._refuse(InvalidRequest(msg))

    def _refuse(self, error: GatewayError) -> None:
        """Answer what is no request, once everything that was one is answered."""
        self._deaf = True
        self._deadline.at = None
        cycle: RequestResponseCycle | Cycle | None = self.cycle
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
