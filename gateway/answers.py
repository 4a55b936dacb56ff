"""What goes to the client, once the relay has the first bytes of it.

A stream's answer owns its lease and its worker's reply: one `finally` gives both back, however it ends. (A lease
held in a generator would be released late, in another task.)
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from gateway.client import Client
from gateway.errors import GatewayError, ShuttingDown, TimedOut, WorkerFailed
from gateway.exchange import Exchange
from gateway.operations import Operation
from gateway.pool.pool import Lease, Outcome
from gateway.pool.worker import Reply
from gateway.reading import StreamReader

SSE_HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)
_JSON: Final = (b"content-type", b"application/json")
_HELD: Final = 256 * 1024
"""Bytes before the first token, at most: roles, and comments of an engine that is still busy."""


class Answer(Protocol):
    """What the client gets. Called once."""

    def __call__(self, client: Client, /) -> Awaitable[None]: ...

    def close(self) -> None:
        """For an answer that nobody will call: give back what it holds."""


class WholeAnswer:
    """A complete JSON answer; holds nothing but bytes."""

    def __init__(
        self, operation: Operation, status: int, body: bytes, exchange: Exchange, clock: Callable[[], float]
    ) -> None:
        self._operation: Final = operation
        self._status: Final = status
        self._body: Final = body
        self._exchange: Final = exchange
        self._clock: Final = clock

    async def __call__(self, client: Client) -> None:
        if client.begun:  # a stream was asked for, and a heartbeat has promised one
            mismatch = WorkerFailed("The worker answered the request for a stream with a whole body.")
            await Failure(self._operation, mismatch, self._exchange)(client)
            return
        self._exchange.answered = self._clock()
        await client.whole(self._status, [_JSON, *timing_headers(self._exchange)], self._body)

    def close(self) -> None:
        """Nothing is held."""


class Failure:
    """The end of a stream that never had a token: its 200 went out with a heartbeat, so an event tells why."""

    def __init__(self, operation: Operation, failure: GatewayError, exchange: Exchange) -> None:
        self._event: Final = operation.failure(failure)
        self._code: Final = failure.code or failure.type
        self._exchange: Final = exchange

    async def __call__(self, client: Client) -> None:
        self._exchange.code = self._code
        await client.write(self._event)
        await client.end()

    def close(self) -> None:
        """Nothing is held."""


class StreamAnswer:
    """A stream of whole events. Exactly one terminal event reaches the client: the worker's own, or our error."""

    def __init__(
        self,
        operation: Operation,
        reader: StreamReader,
        reply: Reply,
        lease: Lease,
        exchange: Exchange,
        clock: Callable[[], float],
        suspect: Callable[[str], None],
    ) -> None:
        self._operation: Final = operation
        self._suspect: Final = suspect
        """Told why, when the worker fails in the middle."""
        self._reader: Final = reader
        self._reply: Final = reply
        self._lease: Final = lease
        self._exchange: Final = exchange
        self._clock: Final = clock
        self._held: Final[list[bytes]] = []
        self._failed = False
        """Whether the worker is to blame for the stream's end."""

    async def first(self) -> None:
        """Wait for the first event with content. Raises like `Reply.next`, everything given back.

        What comes before it (the role, comments) is held, so that a worker that dies before its first token costs
        the client nothing: another one may still be tried.
        """
        try:
            await self._until_content()
        except BaseException as fault:
            self._failed = isinstance(fault, WorkerFailed | TimedOut)
            self._close()
            raise
        self._exchange.first_token = self._clock()

    async def _until_content(self) -> None:
        reader = self._reader
        size = 0
        while not (reader.content or reader.complete):
            piece = self.take(await self._reply.next(first=True))
            self._held.append(piece)
            size += len(piece)
            if reader.fault is not None and not reader.content:
                raise reader.fault
            if size > _HELD and not reader.content:
                raise WorkerFailed("The worker sent much before its first token.")

    async def __call__(self, client: Client) -> None:
        try:
            self._exchange.answered = self._clock()
            await client.start([*SSE_HEADERS, *timing_headers(self._exchange)])
            await client.write(b"".join(self._held))
            await self._rest(client)
        except asyncio.CancelledError:
            # The gateway's drain is over; if it is the client who left, this reaches nobody.
            if not self._reader.complete:
                await self._tell(client, ShuttingDown("The gateway is shutting down."))
            await client.end()
            raise
        finally:
            self._exchange.usage = self._reader.usage
            self._close()
        await client.end()

    async def _rest(self, client: Client) -> None:
        """Forward until the terminal event, or tell the one failure."""
        try:
            await client.pour(self._reply, self)
            if self._reader.fault is not None:
                raise self._reader.fault
        except (WorkerFailed, TimedOut) as fault:
            self._failed = True
            self._suspect(str(fault))
            await self._tell(client, fault)

    async def _tell(self, client: Client, fault: GatewayError) -> None:
        """The one way that OpenAI's library takes for a failure: an error event, and no `[DONE]` after it."""
        self._exchange.code = fault.code or fault.type
        await client.write(self._operation.failure(fault))

    @property
    def over(self) -> bool:
        """`client.Step`: whether the stream had its terminal event, or can have none."""
        return self._reader.over

    def passes(self, piece: bytes, begin: int, end: int) -> bool:
        """`client.Step`: one event in the middle of the answer."""
        return self._reader.passes(piece, begin, end)

    def take(self, piece: bytes) -> bytes:
        """`client.Step`: the whole events that `piece` completes."""
        if not piece:
            self._reader.end()
            return b""
        return self._reader.feed(piece)

    def close(self) -> None:
        """Give the worker back; needed only where the answer is not called."""
        self._close()

    def _close(self) -> None:
        complete = self._reader.complete
        self._reply.close(complete=complete)
        self._lease.release(Outcome.WORKED if complete else Outcome.FAILED if self._failed else Outcome.UNKNOWN)


def timing_headers(exchange: Exchange) -> list[tuple[bytes, bytes]]:
    """`openai-processing-ms` and `server-timing` (milliseconds), as far as they are known when the answer begins."""
    answered = exchange.answered or exchange.started
    spoke = exchange.first_token or exchange.first_byte or answered
    sent = exchange.sent or answered
    timing = b"queue;dur=%.1f, connect;dur=%.1f, first_token;dur=%.1f" % (
        exchange.queued * 1e3,
        exchange.connected * 1e3,
        (spoke - sent - exchange.connected) * 1e3,
    )
    return [(b"openai-processing-ms", b"%d" % ((answered - exchange.started) * 1e3)), (b"server-timing", timing)]
