"""A worker as the gateway uses it: send one request, get one reply. The only place that knows `upstream`.

Foreign errors become ours here and nowhere else. Used by `relay` through a lease.
"""

from __future__ import annotations

from typing import Final

from gateway.errors import AnswerTimeout, FirstTokenTimeout, IdleTimeout, WorkerFailed, WorkerUnreachable
from gateway.exchange import Exchange
from gateway.upstream.connection import ConnectFailed, Connection, Silent, UpstreamError
from gateway.upstream.pool import Address, ConnectionPool
from gateway.upstream.response import Response
from registry.snapshot import Timeouts, WorkerView

ANSWER_LIMIT: Final = 64 * 1024 * 1024
"""Bytes of one JSON answer, at most."""


class Reply:
    """One worker's answer to one request. `close` must be called once; leaving early aborts the worker's work."""

    __slots__ = ("_connection", "_pool", "_response", "_stream", "_timeouts", "status")

    def __init__(
        self, pool: ConnectionPool, connection: Connection, response: Response, timeouts: Timeouts, *, stream: bool
    ) -> None:
        self._pool: Final = pool
        self._connection: Final = connection
        self._response: Final = response
        self._timeouts: Final = timeouts
        self._stream: Final = stream
        self.status: Final = response.status

    @property
    def is_stream(self) -> bool:
        """Whether the worker answers with server-sent events."""
        return self._response.headers.get(b"content-type", b"").startswith(b"text/event-stream")

    @property
    def retry_after(self) -> float | None:
        """Seconds that the worker asks to wait; None: it does not say (dates are not understood)."""
        value = self._response.headers.get(b"retry-after", b"")
        return float(value) if value.isdigit() else None

    @property
    def content_type(self) -> bytes:
        return self._response.headers.get(b"content-type", b"application/json")

    async def next(self, *, first: bool = False) -> bytes:
        """The next bytes of a stream; empty at its end. Raises `WorkerFailed`, `FirstTokenTimeout`, `IdleTimeout`."""
        try:
            return await self._connection.read(self._timeouts.first_token if first else self._timeouts.idle)
        except Silent as fault:
            if first:
                raise FirstTokenTimeout("The worker did not produce a first token in time.") from fault
            raise IdleTimeout("The worker's stream stood still for too long.") from fault
        except UpstreamError as fault:
            raise WorkerFailed(f"The worker broke off: {fault}.") from fault

    async def whole(self) -> bytes:
        """The complete body of a JSON answer. Raises `WorkerFailed`, `AnswerTimeout`."""
        parts: list[bytes] = []
        size = 0
        try:
            while part := await self._connection.read(self._timeouts.answer):
                parts.append(part)
                size += len(part)
                if size > ANSWER_LIMIT:
                    raise WorkerFailed("The worker's answer has no end.")
        except Silent as fault:
            raise AnswerTimeout("The worker did not complete its answer in time.") from fault
        except UpstreamError as fault:
            raise WorkerFailed(f"The worker broke off: {fault}.") from fault
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self, *, complete: bool = False) -> None:
        """Give the connection back. Unless the answer is `complete`, or read to its end, that aborts the generation."""
        self._pool.give_back(self._connection, drain=complete)


class Worker:
    """One worker of the snapshot. Invariant: `inflight` is the number of open leases on it."""

    def __init__(self, view: WorkerView) -> None:
        address = Address.of(view.url)
        key = f"authorization: Bearer {view.key}\r\n" if view.key else ""
        self.view = view
        self.inflight = 0
        self._prefix: Final = address.prefix
        self._fixed: Final = (
            f" HTTP/1.1\r\nhost: {address.authority}\r\n{key}content-type: application/json\r\n"
            "accept-encoding: identity\r\ncontent-length: "
        ).encode()
        self._connections: Final = ConnectionPool(address)

    @property
    def id(self) -> str:
        return self.view.id

    @property
    def free(self) -> bool:
        """Whether it has room for one more request."""
        return self.inflight < self.view.capacity

    async def send(self, path: str, body: bytes, timeouts: Timeouts, exchange: Exchange) -> Reply:
        """POST `body` and wait for the reply's headers.

        Raises `WorkerUnreachable` if nothing was sent, `WorkerBusy` if it said so, else `WorkerFailed` or a timeout.
        """
        head = b"POST %b%b%d\r\nx-request-id: %b\r\n\r\n" % (
            (self._prefix + path).encode(),
            self._fixed,
            len(body),
            exchange.request_id.encode(),
        )
        connection = self._connections.reusable()
        while connection is not None:
            try:
                return await self._exchange(connection, head, body, timeouts, stream=exchange.stream)
            except UpstreamError as fault:
                if fault.answered or isinstance(fault, Silent):
                    raise _ours(fault, stream=exchange.stream) from fault
                # The worker closed an idle connection just as we took it: no byte was answered, use another.
                connection = self._connections.reusable()
        try:
            connection = await self._connections.connect(timeouts.connect)
            return await self._exchange(connection, head, body, timeouts, stream=exchange.stream)
        except UpstreamError as fault:
            raise _ours(fault, stream=exchange.stream) from fault

    async def _exchange(
        self, connection: Connection, head: bytes, body: bytes, timeouts: Timeouts, *, stream: bool
    ) -> Reply:
        try:
            response = await connection.begin(head, body, timeouts.first_token if stream else timeouts.answer)
        except BaseException:
            self._connections.give_back(connection)
            raise
        reply = Reply(self._connections, connection, response, timeouts, stream=stream)
        if b"content-encoding" in response.headers and response.headers[b"content-encoding"] != b"identity":
            reply.close()
            raise WorkerFailed("The worker compressed its answer, which it was asked not to do.")
        return reply

    def close(self) -> None:
        """Forget idle connections; open exchanges go on to their end."""
        self._connections.close()


def _ours(fault: UpstreamError, *, stream: bool) -> WorkerFailed | FirstTokenTimeout | AnswerTimeout:
    """The seam: what went wrong on the wire, as the client may hear it (no addresses, no paths)."""
    if isinstance(fault, ConnectFailed):
        return WorkerUnreachable("The worker could not be reached.")
    if isinstance(fault, Silent):
        if stream:
            return FirstTokenTimeout("The worker did not produce a first token in time.")
        return AnswerTimeout("The worker did not complete its answer in time.")
    return WorkerFailed(f"The worker broke off: {fault}.")
