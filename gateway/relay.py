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
from gateway.call import Call
from gateway.errors import (
    EngineRefused,
    FirstTokenTimeout,
    GatewayError,
    NoWorker,
    TimedOut,
    Unavailable,
    WorkerBusy,
    WorkerFailed,
    WorkerUnreachable,
)
from gateway.pool.pool import RETRY_SOON, Lease, Outcome
from gateway.pool.worker import Reply
from gateway.reading import StreamReader, refusal, usage_of
from gateway.resuming import Continuing, continuing

RETRIES: Final = 2
"""Further workers that one request may try, at most."""

_UNREACHABLE: Final = "No worker of the model could be reached."

_RETRIED: Final = (WorkerFailed, FirstTokenTimeout)
"""What another worker may do better."""

Notice = Callable[[str, str], None]
"""What the relay tells others: `suspect(worker id, reason)` the supervisor, `retried(model, reason)` and
`resumed(model, outcome)` the metrics."""


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
                async with call.pool.retries:
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
        lease = await call.pool.lease(frozenset(tried), call.priority, call.patience.left, prefix)
        exchange.sent = sent = self._clock()
        exchange.attempt(lease.worker.id, lease.choice, lease.loads, asked, sent)
        tried.add(lease.worker.id)
        call.patience.attempt()
        try:
            return await self._attempt(call, lease)
        except EngineRefused as fault:  # in the engine's own words, which may hold the prompt
            exchange.failed(fault.code or fault.type, "The engine refused the request.", self._clock())
            raise
        except (WorkerFailed, TimedOut) as fault:
            exchange.failed(fault.code or fault.type, str(fault), self._clock())
            if not isinstance(fault, _RETRIED):
                raise
            if not isinstance(fault, WorkerBusy):  # who says that it is busy is well
                self._suspect(lease.worker.id, str(fault))
            elif fault.retry_after is not None:
                lease.worker.breaker.rests(self._clock() + fault.retry_after)
            raise

    async def _attempt(self, call: Call, lease: Lease) -> Answer:
        """Send to one worker. The lease goes into a stream's answer; in every other case it ends here."""
        wants_usage = call.exchange.stream and call.operation.usage_on_request and not call.usage_asked
        served_name = None if call.target.served_name == call.target.requested else call.target.served_name
        going_on = self._continuing(call, lease) if call.exchange.stream else None
        try:
            body = call.engine.prepare(
                call.body,
                served_name=served_name,
                want_usage=wants_usage,
                want_ids=going_on is not None and going_on.said is not None,
            )
            reply = await lease.worker.send(call.operation.path, body, call.patience, call.exchange)
        except BaseException as fault:
            lease.release(_outcome(fault))
            raise
        call.exchange.first_byte = self._clock()
        if reply.status == 200 and reply.is_stream and call.exchange.stream:
            reader = StreamReader(call.operation, hide_usage=wants_usage)
            suspect = partial(self._suspect, lease.worker.id)
            answer = StreamAnswer(call.operation, reader, reply, lease, call.exchange, self._clock, suspect, going_on)
            await answer.first()
            return answer
        try:
            whole = await self._whole(call, reply)
        except BaseException as fault:
            lease.release(_outcome(fault))
            raise
        finally:
            reply.close()
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
        if reply.status in {429, 503}:
            raise WorkerBusy("The worker is too busy to answer.", retry_after=reply.retry_after)
        if reply.status in {401, 403, 407}:  # our key, not the client's
            raise WorkerFailed("The worker does not accept the gateway's key.")
        if reply.status >= 500 or reply.status < 200 or 300 <= reply.status < 400:
            raise WorkerFailed(f"The worker answered with status {reply.status}.")
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


def _outcome(fault: BaseException) -> Outcome:
    """What an attempt's end says about the worker: the engine's own refusal is good work."""
    if isinstance(fault, EngineRefused):
        return Outcome.WORKED
    if isinstance(fault, WorkerBusy) and fault.retry_after is not None:
        return Outcome.UNKNOWN  # it rests for as long as it asked to
    return Outcome.FAILED if isinstance(fault, WorkerFailed | TimedOut) else Outcome.UNKNOWN
