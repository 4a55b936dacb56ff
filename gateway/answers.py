"""What goes to the client, once the relay has the first bytes of it.

A stream's answer owns its lease and its worker's reply: one `finally` gives both back, however it ends. (A lease
held in a generator would be released late, in another task.)
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import msgspec

from gateway.client import SSE_HEADERS, Client, chunk_of
from gateway.errors import GatewayError, ShuttingDown, TimedOut, WorkerFailed
from gateway.exchange import Exchange
from gateway.heartbeats import Heartbeats
from gateway.likeness import Likeness
from gateway.operations import Operation
from gateway.pool.lease import Lease, Outcome
from gateway.pool.worker import Reply
from gateway.reading import StreamReader, Usage
from gateway.resume.joint import Diverged, Joint
from gateway.resuming import Continuing

_JSON: Final = (b"content-type", b"application/json")
_HELD: Final = 256 * 1024
"""Bytes before the first token, at most: roles, and comments of an engine that is still busy."""


class Answer(Protocol):
    """What the client gets. Called once."""

    def __call__(self, client: Client, /) -> Awaitable[None]: ...

    def close(self) -> None:
        """For an answer that nobody will call: give back what it holds."""


class WholeAnswer(msgspec.Struct, frozen=True, eq=False):
    """A complete JSON answer; holds nothing but bytes."""

    _operation: Operation
    _status: int
    _body: bytes
    _exchange: Exchange
    _clock: Callable[[], float]

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
        continuing: Continuing | None = None,
    ) -> None:
        self._operation: Final = operation
        self._suspect = suspect
        """Told why, when the worker fails in the middle."""
        self._reader = reader
        self._reply = reply
        self._lease = lease
        self._continuing: Final = continuing
        """What becomes of the stream then; None: it ends."""
        self._said: Final = continuing.said if continuing is not None else None
        self._joint: Joint | None = None
        """Once another worker goes on: what makes its stream the rest of the first one's."""
        self._holds = True
        """Whether the worker has still to be given back."""
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
            self._exchange.usage = self._usage
            self._close()
        await client.end()

    async def _rest(self, client: Client) -> None:
        """Forward until the terminal event, over the death of workers, or tell the one failure."""
        while (fault := await self._poured(client)) is not None:
            self._exchange.failed(fault.code or fault.type, str(fault), self._clock())
            if not isinstance(fault, Diverged):
                self._failed = True
                self._suspect(str(fault))
            if not await self._goes_on(client, fault):
                await self._tell(client, fault)
                return

    async def _poured(self, client: Client) -> WorkerFailed | TimedOut | None:
        """Forward until the terminal event (None), or until the worker fails."""
        try:
            await client.pour(self._reply, self)
        except (WorkerFailed, TimedOut) as fault:
            return fault
        return self._reader.fault

    async def _goes_on(self, client: Client, fault: GatewayError) -> bool:
        """Whether another worker took the stream up. The failed one is left before that: nothing of it comes late."""
        if self._continuing is None:
            return False
        self._close()
        async with Heartbeats(client):
            resumed = await self._continuing.go_on(fault)
            if resumed is not None:
                self._lease, self._reply, self._reader, self._joint, piece, self._suspect = resumed
                self._holds, self._failed = True, False
        if resumed is None:
            return False
        if forwarded := self.take(piece):
            await client.write(forwarded)
        return True

    async def _tell(self, client: Client, fault: GatewayError) -> None:
        """The one way that OpenAI's library takes for a failure: an error event, and no `[DONE]` after it."""
        self._exchange.code = fault.code or fault.type
        await client.write(self._operation.failure(fault))

    @property
    def over(self) -> bool:
        """`client.Step`: whether the stream had its terminal event, or can have none."""
        return self._reader.over

    @property
    def likeness(self) -> Likeness:
        """`client.Step`: a stream that may be continued keeps what it has said, and so takes every read itself."""
        return self._reader.likeness if self._said is None else Likeness()

    def reframed(self, read: bytes, bodies: list[bytes]) -> bytes | None:
        """`client.Step`: events in the middle of the answer."""
        events = bodies[0] if len(bodies) == 1 else b"".join(bodies)
        if self._joint is not None or not self._reader.passes(events):
            return None
        return read if self._said is None else chunk_of(self._said.pass_on(events))

    def take(self, piece: bytes) -> bytes:
        """`client.Step`: what the client gets of the whole events that `piece` completes."""
        if not piece:
            self._reader.end()
            return b""
        if self._joint is not None:
            return self._joined(self._joint, self._reader.feed(piece))
        if self._said is None:
            return self._reader.feed(piece)
        return self._said.pass_on(piece if self._reader.passes(piece) else self._reader.feed(piece))

    def _joined(self, joint: Joint, events: bytes) -> bytes:
        try:
            return joint.pass_on(events)
        except WorkerFailed as fault:
            self._reader.give_up(fault)
            return b""

    @property
    def _usage(self) -> Usage | None:
        return self._reader.usage if self._joint is None else self._joint.usage

    def close(self) -> None:
        """Give the worker back; needed only where the answer is not called."""
        self._close()

    def _close(self) -> None:
        if not self._holds:
            return
        self._holds = False
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
