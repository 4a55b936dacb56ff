"""One request that takes the short way: to uvicorn's protocol a request cycle, to `gateway.wire` the way to the client.

Made by `gateway.protocol` when a request's headers are complete, served by `gateway.turns` when its body is. Pinned to
the uvicorn whose protocol asks for these attributes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol, Self

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE
from uvicorn.server import ServerState

from gateway.asgi import Headers, Scope
from gateway.operations import Operation
from gateway.shortcut import Shortcut

_HEADER_LINE: Final = b": ".join
"""Of a name and a value."""


class Line(Protocol):
    """The connection, as its cycle knows it."""

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    flow: FlowControl
    server_state: ServerState
    full: Callable[[], None] | None
    drained: Callable[[], None] | None

    def on_response_complete(self) -> None:
        """The connection is free for its next request."""


class Cycle:
    """Invariant: `response_complete` is true exactly when the connection is free for its next request."""

    __slots__ = (
        "_body",
        "_line",
        "_lost",
        "_operation",
        "_scope",
        "_shortcut",
        "_transport",
        "disconnected",
        "keep_alive",
        "loop",
        "more_body",
        "response_complete",
        "response_started",
    )

    def __init__(self, line: Line, shortcut: Shortcut, operation: Operation, scope: Scope, *, keep_alive: bool) -> None:
        self.loop: Final = line.loop
        self._line: Final = line
        self._transport: Final = line.transport
        self._shortcut: Final = shortcut
        self._operation: Final = operation
        self._scope: Final = scope
        self._body: Final[list[bytes]] = []
        self._lost: Callable[[], None] | None = None
        self.keep_alive = keep_alive
        self.more_body = True
        self.disconnected = False
        self.response_started = False
        self.response_complete = False

    def receive(self, piece: bytes) -> None:
        """Some of the body."""
        self._body.append(piece)

    def serve(self) -> Coroutine[Any, Any, None]:
        """The work of answering it, for when it is whole. Raises nothing; `ended` is to follow."""
        pieces = self._body
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return self._shortcut.serve(self._operation, self._scope, body, self)

    def ended(self) -> None:
        """Nobody works on it any more: an answer that is not complete never will be."""
        if not self.response_complete:
            self._transport.abort()

    @property
    def message_event(self) -> Self:
        """Where uvicorn's cycle has an event to set when the client has left."""
        return self

    def set(self) -> None:
        """The client has left: whoever works for it hears of it; what was never whole is settled here."""
        if self._lost is not None:
            self._lost()
        elif self.more_body:
            self._shortcut.abandon(self._scope)

    # ---- gateway.wire.Wire

    @property
    def closed(self) -> bool:
        return self.disconnected or self._transport.is_closing()

    @property
    def full(self) -> bool:
        return self._line.flow.write_paused

    def on_lost(self, lost: Callable[[], None] | None) -> None:
        self._lost = lost

    def on_full(self, full: Callable[[], None] | None) -> None:
        self._line.full = full

    def on_drained(self, drained: Callable[[], None] | None) -> None:
        self._line.drained = drained

    def open(self, status: int, headers: Headers, body: bytes = b"") -> None:
        self.response_started = True
        lines = b"\r\n".join(map(_HEADER_LINE, (*self._line.server_state.default_headers, *headers)))
        end = b"\r\n\r\n" if self.keep_alive else b"\r\nconnection: close\r\n\r\n"
        self.write(b"".join((STATUS_LINE[status], lines, end, body)))

    def write(self, data: bytes) -> None:
        if not self.disconnected:
            self._transport.write(data)

    def close(self) -> None:
        self.response_complete = True
        if not self.keep_alive:
            self._transport.close()
        self._line.on_response_complete()
