"""THE FLOW: one call → a worker → an answer. The one retry loop of the program lives here.

`api.inference` gives a `Call`; `begin` leases a worker, sends, and waits for the first bytes that may be shown to
the client; what it returns is an `Answer` that owns the rest. Until then, and only until then, another
worker may be tried.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from gateway.answers import Answer, StreamAnswer, WholeAnswer
from gateway.balance.prefix import NO_PREFIX, Prefix
from gateway.blame import settle
from gateway.call import Call, Notice
from gateway.errors import (
    EngineRefused,
    FirstTokenTimeout,
    GatewayError,
    NoWorker,
    TimedOut,
    Unavailable,
    WorkerFailed,
    WorkerUnreachable,
)
from gateway.pool.loading import RETRY_SOON
from gateway.pool.pool import Lease, Outcome
from gateway.pool.worker import Reply
from gateway.reading import StreamReader, refusal, usage_of
from gateway.resuming import Continuing, continuing

RETRIES: Final = 2
"""Further workers that one request may try, at most."""

_UNREACHABLE: Final = "No worker of the model could be reached."

_RETRIED: Final = (WorkerFailed, FirstTokenTimeout)
"""What another worker may do better."""


class Relay:
    """Stateless: every request's state is in its `Call`, its `Exchange` and its `Lease`."""

    def __init__(self, *, clock: Callable[[], float], suspect: Notice, retried: Notice, resumed: Notice) -> None:
        self._clock: Final = clock
        self._suspect: Final = suspect
        self._retried: Final = retried
        self._resumed: Final = resumed

    async def begin(self, call: Call) -> Answer:
        """The answer, its first bytes in hand. Raises `GatewayError` where there is none."""
        tried: set[str] = set()
        try:
            return await self._try(call, tried)
        except _RETRIED as fault:
            failure = fault
        try:
            while len(tried) <= _tries(failure):
                self._retried(call.target.model.name, failure.code or failure.type)
                async with call.pool.retries.turn(call.patience):
                    try:
                        return await self._try(call, tried)
                    except Unavailable as nobody:
                        raise _verdict(failure, nobody) from None
                    except _RETRIED as fault:
                        failure = fault
            raise _verdict(failure, NoWorker(_UNREACHABLE, retry_after=RETRY_SOON))
        finally:
            del failure  # it knows this frame by its traceback: the two would hold each other, and what was received

    async def _try(self, call: Call, tried: set[str]) -> Answer:
        """One attempt on a worker that is not in `tried`; adds it."""
        exchange = call.exchange
        exchange.asked = asked = self._clock()
        prefix = Prefix(call.target.served_name, call.body) if call.operation.streams else NO_PREFIX
        lease = await call.pool.lease(frozenset(tried), call.priority, call.patience.left, prefix, call.wait)
        try:
            exchange.sent = sent = self._clock()
            exchange.attempt(lease.worker.id, lease.choice, lease.loads, asked, sent)
            tried.add(lease.worker.id)
            call.patience.attempt()
            return await self._attempt(call, lease)
        except BaseException as fault:
            now = self._clock()
            if isinstance(fault, EngineRefused):  # in the engine's own words, which may hold the prompt
                exchange.failed(fault.code or fault.type, "The engine refused the request.", now)
            elif isinstance(fault, WorkerFailed | TimedOut):
                exchange.failed(fault.code or fault.type, str(fault), now)
            settle(lease, fault, self._suspect, now)
            raise

    async def _attempt(self, call: Call, lease: Lease) -> Answer:
        """Send to one worker. The lease goes into a stream's answer, or ends with a whole one."""
        wants_usage = call.exchange.stream and call.operation.usage_on_request and not call.usage_asked
        served_name = None if call.target.served_name == call.target.requested else call.target.served_name
        going_on = self._continuing(call, lease) if call.exchange.stream else None
        body = call.engine.prepare(
            call.body,
            served_name=served_name,
            want_usage=wants_usage,
            want_ids=going_on is not None and going_on.said is not None,
        )
        reply = await lease.worker.send(call.operation.path, body, call.patience, call.exchange)
        stream = None
        try:
            call.exchange.first_byte = self._clock()
            if not (reply.status == 200 and reply.is_stream and call.exchange.stream):
                whole = await self._whole(call, reply)
            else:
                reader = StreamReader(call.operation, hide_usage=wants_usage)
                suspect = partial(self._suspect, lease.worker.id)
                stream = StreamAnswer(
                    call.operation, reader, reply, lease, call.exchange, self._clock, suspect, going_on
                )
        finally:
            if stream is None:
                reply.close()
        if stream is not None:
            await stream.first()
            return stream
        lease.release(Outcome.WORKED)
        return whole

    def _continuing(self, call: Call, lease: Lease) -> Continuing:
        counted = partial(self._resumed, call.target.model.name)
        return continuing(call, lease, self._suspect, counted, self._clock)

    async def _whole(self, call: Call, reply: Reply) -> Answer:
        """A JSON answer, read to its end and understood. Raises `EngineRefused` for the engine's own 4xx."""
        body = reply.arrived
        if body is None:
            body = await reply.whole()
        reply.check()
        if reply.status >= 400:
            raise refusal(reply.status, body)
        if call.exchange.stream and call.operation.streams:  # clients would find no event in it, and end silently
            raise WorkerFailed("The worker answered the request for a stream with a whole body.")
        call.exchange.usage = usage_of(body)
        return WholeAnswer(call.operation, reply.status, body, call.exchange, self._clock)


def _tries(failure: WorkerFailed | FirstTokenTimeout) -> int:
    """How many workers may have failed like this before it is the answer."""
    return 1 if isinstance(failure, FirstTokenTimeout) else RETRIES


def _verdict(failure: GatewayError, nobody: Unavailable) -> GatewayError:
    """What to say when nobody is left to try: the failure itself, or that nobody can be reached."""
    return nobody if isinstance(failure, WorkerUnreachable) else failure
