"""What goes to the client, once the relay has the first bytes of it.

A stream's answer owns its lease and its worker's reply: one `finally` gives both back, however it ends. (A lease
held in a generator would be released late, in another task.)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from gateway.asgi import Send, body_message, start_message
from gateway.errors import TimedOut, WorkerFailed
from gateway.exchange import Exchange
from gateway.operations import Operation
from gateway.pool.pool import Lease
from gateway.pool.worker import Reply
from gateway.reading import StreamReader

_SSE_HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)


class Answer(Protocol):
    """An ASGI response whose sending half is called once."""

    def __call__(self, send: Send, /) -> Awaitable[None]: ...


class WholeAnswer:
    """A complete JSON answer; holds nothing but bytes."""

    def __init__(self, status: int, body: bytes, exchange: Exchange, clock: Callable[[], float]) -> None:
        self._status: Final = status
        self._body: Final = body
        self._exchange: Final = exchange
        self._clock: Final = clock

    async def __call__(self, send: Send) -> None:
        self._exchange.answered = self._clock()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(self._body)),
            *timing_headers(self._exchange),
        ]
        await send(start_message(self._status, headers))
        await send(body_message(self._body, more=False))


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
    ) -> None:
        self._operation: Final = operation
        self._reader: Final = reader
        self._reply: Final = reply
        self._lease: Final = lease
        self._exchange: Final = exchange
        self._clock: Final = clock
        self._pending = b""

    async def first(self) -> None:
        """Wait for the first event with content. Raises like `Reply.next`, everything given back.

        What comes before it (the role, comments) is held, so that a worker that dies before its first token costs
        the client nothing: another one may still be tried.
        """
        try:
            await self._until_content()
        except BaseException:
            self._close()
            raise

    async def _until_content(self) -> None:
        while not (self._reader.content or self._reader.complete):
            self._pending += await self._events(first=True)
            if self._reader.fault is not None and not self._reader.content:
                raise self._reader.fault

    async def __call__(self, send: Send) -> None:
        try:
            self._exchange.answered = self._clock()
            await send(start_message(200, [*_SSE_HEADERS, *timing_headers(self._exchange)]))
            await send(body_message(self._pending, more=True))
            await self._rest(send)
        finally:
            self._exchange.usage = self._reader.usage
            self._close()
        await send(body_message(b"", more=False))

    def _close(self) -> None:
        self._reply.close(complete=self._reader.complete)
        self._lease.release()

    async def _rest(self, send: Send) -> None:
        """Forward until the terminal event, or tell the one failure."""
        try:
            while not self._reader.complete:
                if self._reader.fault is not None:
                    raise self._reader.fault
                events = await self._events(first=not self._reader.content)
                if events:
                    await send(body_message(events, more=True))
        except (WorkerFailed, TimedOut) as fault:
            # The one way that OpenAI's library takes for a failure: an error event, and no `[DONE]` after it.
            self._exchange.code = fault.code or fault.type
            await send(body_message(self._operation.failure(fault), more=True))

    async def _events(self, *, first: bool) -> bytes:
        """The next whole events; empty where the read completed none, or was the last one."""
        chunk = await self._reply.next(first=first)
        if not chunk:
            self._reader.end()
            return b""
        events = self._reader.feed(chunk)
        if self._exchange.first_token is None and self._reader.content:
            self._exchange.first_token = self._clock()
        return events


def timing_headers(exchange: Exchange) -> list[tuple[bytes, bytes]]:
    """`openai-processing-ms` and `server-timing` (milliseconds), as far as they are known when the answer begins."""
    answered = exchange.answered or exchange.started
    sent = exchange.sent or answered
    first = exchange.first_byte or answered
    timing = b"queue;dur=%.1f, worker;dur=%.1f" % (exchange.queued * 1e3, (first - sent) * 1e3)
    return [(b"openai-processing-ms", b"%d" % ((answered - exchange.started) * 1e3)), (b"server-timing", timing)]
