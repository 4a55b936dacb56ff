"""How HTTP comes in: uvicorn, with the few things that it leaves open closed.

Used by `__main__` only.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import ClassVar, Final, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from gateway.asgi import App, Headers
from gateway.errors import GatewayError, HeadersTooLarge, InvalidRequest

KEEP_ALIVE: Final = 75
"""Seconds that an idle client connection stays open; longer than the usual load balancer's 60."""
HEADER_SECONDS: Final = 10.0
HEADER_BYTES: Final = 16 * 1024
HEADER_COUNT: Final = 100
"""What a request's headers may take, at most."""
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
    """uvicorn's protocol: offers its wire, bounds what a client may send as headers, and refuses in our envelope."""

    wired: ClassVar = _KNOWN
    lost: Callable[[], None] | None = None
    drained: Callable[[], None] | None = None
    _head_bytes = 0
    """Received since the last request's headers were complete."""
    _head_alarm: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._await_head()
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in _TCP:
            # Without it a slow reader's socket takes megabytes before it says that it is full.
            sock.setsockopt(socket.IPPROTO_TCP, _NOTSENT_LOWAT, _UNSENT)

    def data_received(self, data: bytes) -> None:
        self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes and self._head_alarm is None and not self.transport.is_closing():
            self._head_received()

    def _head_received(self) -> None:
        """Some of a request's headers are here, or some of a body: only the first is limited."""
        if self._answering:
            self._head_bytes = 0
        elif self._head_bytes > HEADER_BYTES:
            self._refuse(HeadersTooLarge(f"The headers are longer than {HEADER_BYTES} bytes."))
        else:
            self._await_head()

    @property
    def _answering(self) -> bool:
        """Whether a request is under way, its body included."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        return cycle is not None and (cycle.more_body or not cycle.response_complete)

    def _await_head(self) -> None:
        self._head_alarm = self.loop.call_later(HEADER_SECONDS, self._too_slow)

    def _too_slow(self) -> None:
        self._head_alarm = None
        if not self._answering:
            self.transport.abort()

    def on_headers_complete(self) -> None:
        if self._head_alarm is not None:
            self._head_alarm.cancel()
            self._head_alarm = None
        if len(self.headers) > HEADER_COUNT or self._headers_too_long():
            self._refuse(HeadersTooLarge(f"At most {HEADER_COUNT} headers of {HEADER_BYTES} bytes in all are read."))
            return
        self._head_bytes = 0
        super().on_headers_complete()
        if self.wired:
            # The application's task begins at the loop's next turn, so it finds the wire in its scope.
            self.scope["wire"] = _CycleWire(self, self.cycle)  # type: ignore[typeddict-unknown-key]

    def _headers_too_long(self) -> bool:
        if self._head_bytes <= HEADER_BYTES:
            return False  # all of it, the body's beginning included, is short enough
        return sum(len(name) + len(value) for name, value in self.headers) > HEADER_BYTES

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._head_alarm is not None:
            self._head_alarm.cancel()
        if self.lost is not None:
            self.lost()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.drained is not None:
            self.drained()

    def send_400_response(self, msg: str) -> None:
        if not self.transport.is_closing():  # else it was refused with a better word already
            self._refuse(InvalidRequest(msg))

    def _refuse(self, error: GatewayError) -> None:
        body = error.body()
        self.transport.write(
            STATUS_LINE[error.answered_status]
            + b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
        )
        self.transport.close()


class PortableProtocol(Protocol):
    """The same without the wire: answers go through ASGI's `send`, as under a uvicorn that we do not know."""

    wired = False


class Server(uvicorn.Server):
    """uvicorn's server without its signal handlers: the process decides when it stops."""

    def stop(self) -> None:
        """Drain and end; called again, end now."""
        self.force_exit = self.should_exit
        self.should_exit = True

    def stopping(self) -> bool:
        """Whether it was asked to stop."""
        return self.should_exit

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing: `__main__` has its own."""
        yield


def configure(app: App, drain: float, *, portable: bool = False) -> uvicorn.Config:
    """Uvicorn's settings: no guessing at proxies, no logs of its own, `drain` seconds for what is open at the end.

    `portable` leaves the wire out.
    """
    return uvicorn.Config(
        app,
        http=PortableProtocol if portable else Protocol,
        loop="uvloop",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=max(1, round(drain)),
    )
