"""A worker as the gateway uses it: send one request, get one reply. The only place that knows `upstream`.

Foreign errors become ours here and nowhere else. Used by `relay` through a lease.
"""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.balance.breaker import Breaker
from gateway.client import Sink
from gateway.errors import TimedOut, WorkerBusy, WorkerFailed, WorkerUnreachable
from gateway.exchange import Exchange
from gateway.patience import Patience
from gateway.upstream.connection import Connection, Flow
from gateway.upstream.faults import ConnectFailed, PeerClosed, Silent, UpstreamError
from gateway.upstream.pool import Address, ConnectionPool
from gateway.upstream.response import Response
from registry.snapshot import WorkerView

ANSWER_LIMIT: Final = 64 * 1024 * 1024
"""Bytes of one JSON answer, at most."""
REFUSAL_LIMIT: Final = 1024 * 1024
"""Bytes of an answer that is an error, at most."""
LONGEST_REST: Final = 3600.0
"""Seconds for which a worker may ask to be left alone, at most."""
_OK: Final = 200
_REFUSES_US: Final = frozenset({401, 403, 407})
_BUSY: Final = frozenset({429, 503})


class Reply(msgspec.Struct, eq=False):
    """One worker's answer to one request. `close` must be called once; leaving early aborts the worker's work."""

    _pool: ConnectionPool
    _connection: Connection
    _response: Response
    _patience: Patience
    status: int

    def is_stream(self) -> bool:
        """Whether the worker answers with server-sent events."""
        return self._response.headers.get(b"content-type", b"").startswith(b"text/event-stream")

    @property
    def retry_after(self) -> float | None:
        """Seconds that the worker asks to wait; None: it does not say (dates are not understood)."""
        value = self._response.headers.get(b"retry-after", b"")
        return min(float(value), LONGEST_REST) if value.isdigit() else None

    def check(self) -> None:
        """Raises `WorkerBusy` or `WorkerFailed` where the status says so; any further 4xx is about the request."""
        status = self.status
        if status == _OK:
            return
        if status in _BUSY:
            raise WorkerBusy("The worker is too busy to answer.", retry_after=self.retry_after)
        if status in _REFUSES_US:  # our key, not the client's
            raise WorkerFailed("The worker does not accept the gateway's key.")
        if not (200 <= status < 300 or 400 <= status < 500):
            raise WorkerFailed(f"The worker answered with status {status}.")

    def arrived(self) -> bytes | None:
        """The complete body, if it has come whole with the headers."""
        return self._response.take() if self._response.complete else None

    async def next(self, *, first: bool = False) -> bytes:
        """The next bytes of the body; empty at its end. Raises `WorkerFailed`, `TimedOut`."""
        try:
            return await self._connection.read(self._patience.first if first else self._patience.idle)
        except Silent as fault:
            raise self._patience.verdict(first=first) from fault
        except UpstreamError as fault:
            raise WorkerFailed(f"The worker broke off: {fault}.") from fault

    async def whole(self) -> bytes:
        """The complete body of a JSON answer. Raises `WorkerFailed`, `TimedOut`."""
        limit = ANSWER_LIMIT if self.status == _OK else REFUSAL_LIMIT
        part = await self.next()
        parts = bytearray(part)
        while part:
            part = await self.next()
            parts += part
            if len(parts) > limit:
                raise WorkerFailed("The worker's answer has no end.")
        return bytes(parts)

    def flow(self, sink: Sink) -> None:
        """Push the rest of the body into `sink` instead of waiting to be asked."""
        patience = self._patience

        def broke(fault: UpstreamError) -> None:
            silent = isinstance(fault, Silent)
            sink.broke(patience.verdict(first=False) if silent else WorkerFailed(f"The worker broke off: {fault}."))

        self._connection.flow(Flow(sink.again, sink.chunks, sink.arrived, broke, patience.idle, patience.left))

    def hold(self) -> None:
        """Stop pushing; the worker waits with us, and its silence is not held against it."""
        self._connection.hold()

    def go_on(self) -> None:
        """Push again."""
        self._connection.go_on()

    def close(self, *, complete: bool = False) -> None:
        """Give the connection back. Unless the answer is `complete`, or read to its end, that aborts the generation."""
        self._pool.give_back(self._connection, drain=complete)


class Worker:
    """One worker of the snapshot. Invariant: `inflight` is the number of open leases on it."""

    def __init__(self, view: WorkerView) -> None:
        address = Address.of(view.url)
        key = f"authorization: Bearer {view.key}\r\n" if view.key else ""
        self.view = view
        self.id: Final = view.id
        self.inflight = 0
        self.gone = False
        """Whether it is in no snapshot any more, and only ends what it has."""
        self.breaker: Final = Breaker()
        self._prefix: Final = address.prefix.encode()
        self._fixed: Final = (
            f" HTTP/1.1\r\nhost: {address.authority}\r\n{key}content-type: application/json\r\n"
            "accept-encoding: identity\r\ncontent-length: "
        ).encode()
        self._connections: Final = ConnectionPool(address)

    def serves(self, view: WorkerView) -> bool:
        """Whether `view` is of this worker, where it is: one that is still starting may have no address yet."""
        return (self.view.url, self.view.key) == (view.url, view.key)

    def free(self) -> bool:
        """Whether it has room for one more request."""
        return self.inflight < self.view.capacity

    async def send(self, path: str, body: bytes, patience: Patience, exchange: Exchange) -> Reply:
        """POST `body` and wait for the reply's headers.

        Raises `WorkerUnreachable` if nothing was sent, else `WorkerFailed` or `TimedOut`.
        """
        head = b"POST %b%b%b%d\r\nx-request-id: %b\r\n\r\n" % (
            self._prefix,
            path.encode(),
            self._fixed,
            len(body),
            exchange.request_id.encode(),
        )
        if (connection := self._connections.reusable()) is not None:
            try:
                return self._reply(connection, await connection.begin(head, body, patience.first), patience)
            except PeerClosed as fault:
                # The worker closed an idle connection just as we took it: no byte was answered, use a new one. (Not
                # another idle one: a request that makes a worker hang up would be sent once for each of them.)
                if fault.answered:
                    raise _ours(fault, patience) from fault
            except UpstreamError as fault:
                raise _ours(fault, patience) from fault
        try:
            began = patience.now  # uvloop's own time is in whole milliseconds
            connection = await self._connections.connect(patience.connect)
            exchange.connected += patience.now - began
            return self._reply(connection, await connection.begin(head, body, patience.first), patience)
        except UpstreamError as fault:
            raise _ours(fault, patience) from fault

    def _reply(self, connection: Connection, response: Response, patience: Patience) -> Reply:
        reply = Reply(self._connections, connection, response, patience, response.status)
        if response.headers.get(b"content-encoding", b"identity") != b"identity":
            reply.close()
            raise WorkerFailed("The worker compressed its answer, which it was asked not to do.")
        return reply

    def close(self) -> None:
        """Forget idle connections; open exchanges go on to their end."""
        self._connections.close()


def _ours(fault: UpstreamError, patience: Patience) -> WorkerFailed | TimedOut:
    """The seam: what went wrong on the wire, as the client may hear it (no addresses, no paths)."""
    if isinstance(fault, ConnectFailed):
        return WorkerUnreachable("The worker could not be reached.")
    if isinstance(fault, Silent):
        return patience.verdict(first=True)
    return WorkerFailed(f"The worker broke off: {fault}.")
