"""One request that takes the short way: to uvicorn's protocol a request cycle, to `gateway.wire` the way to the client.

Made by `gateway.protocol` when a request's headers are complete. Pinned to the uvicorn whose protocol asks for these
attributes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ClassVar, Final, Protocol

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE
from uvicorn.server import ServerState

from gateway.asgi import Headers, Scope
from gateway.operations import Operation


class Line(Protocol):
    """The connection, as its cycle knows it."""

    transport: asyncio.Transport
    flow: FlowControl
    server_state: ServerState
    full: Callable[[], None] | None
    drained: Callable[[], None] | None

    def on_response_complete(self) -> None:
        """The connection is free for its next request."""


class _Nobody:
    """Stands where uvicorn's cycle has an event: nobody waits for it here."""

    def set(self) -> None:
        """Nothing."""


class Cycle:
    """Invariant: `response_complete` is true exactly when the connection is free for its next request."""

    __slots__ = (
        "_line",
        "_transport",
        "disconnected",
        "keep_alive",
        "lost",
        "more_body",
        "operation",
        "pieces",
        "response_complete",
        "response_started",
        "scope",
    )
    message_event: ClassVar = _Nobody()

    def __init__(self, line: Line, operation: Operation, scope: Scope, *, keep_alive: bool) -> None:
        self._line: Final = line
        self._transport: Final = line.transport
        self.operation: Final = operation
        self.scope: Final = scope
        self.keep_alive = keep_alive
        self.pieces: Final[list[bytes]] = []
        """Of the body, as they came."""
        self.more_body = True
        self.disconnected = False
        self.response_started = False
        self.response_complete = False
        self.lost: Callable[[], None] | None = None

    @property
    def body(self) -> bytes:
        """What has come of it."""
        return self.pieces[0] if len(self.pieces) == 1 else b"".join(self.pieces)

    def ended(self, _: asyncio.Task[None]) -> None:
        """Nobody works on it any more: an answer that is not complete never will be."""
        if not self.response_complete:
            self._transport.abort()

    # ---- gateway.wire.Wire

    @property
    def closed(self) -> bool:
        return self.disconnected or self._transport.is_closing()

    @property
    def full(self) -> bool:
        return self._line.flow.write_paused

    def on_lost(self, lost: Callable[[], None] | None) -> None:
        self.lost = lost

    def on_full(self, full: Callable[[], None] | None) -> None:
        self._line.full = full

    def on_drained(self, drained: Callable[[], None] | None) -> None:
        self._line.drained = drained

    def open(self, status: int, headers: Headers, body: bytes = b"") -> None:
        self.response_started = True
        lines = [STATUS_LINE[status]]
        for pair in (*self._line.server_state.default_headers, *headers):
            lines.append(b"%b: %b\r\n" % pair)  # noqa: PERF401 - a comprehension is a call more
        lines.append(b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n")
        lines.append(body)
        self.write(b"".join(lines))

    def write(self, data: bytes) -> None:
        if not self.disconnected:
            self._transport.write(data)

    def close(self) -> None:
        self.response_complete = True
        if not self.keep_alive:
            self._transport.close()
        self._line.on_response_complete()
