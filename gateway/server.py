"""How HTTP comes in: uvicorn, with the few things that it leaves open closed.

Used by `__main__` only.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from gateway.asgi import App, Headers
from gateway.errors import InvalidRequest

KEEP_ALIVE: Final = 75
"""Seconds that an idle client connection stays open; longer than the usual load balancer's 60."""
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
    """uvicorn's protocol: it offers its wire, and answers what is not HTTP in the same envelope as everything else."""

    lost: Callable[[], None] | None = None
    drained: Callable[[], None] | None = None

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        if _KNOWN:
            # The application's task begins at the loop's next turn, so it finds the wire in its scope.
            self.scope["wire"] = _CycleWire(self, self.cycle)  # type: ignore[typeddict-unknown-key]

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.lost is not None:
            self.lost()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.drained is not None:
            self.drained()

    def send_400_response(self, msg: str) -> None:
        body = InvalidRequest(msg).body()
        self.transport.write(
            b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\n"
            b"content-length: %d\r\n\r\n%b" % (len(body), body)
        )
        self.transport.close()


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


def configure(app: App, drain: float) -> uvicorn.Config:
    """Uvicorn's settings: no guessing at proxies, no logs of its own, `drain` seconds for what is open at the end."""
    return uvicorn.Config(
        app,
        http=Protocol,
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
