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
    AdapterMissing,
    EngineRefused,
    FirstTokenTimeout,
    GatewayError,
    NoWorker,
    TimedOut,
    Unavailable,
    WorkerFailed,
    WorkerUnreachable,
)
from gateway.pool.lease import Lease, Outcome
from gateway.pool.loading import RETRY_SOON
from gateway.pool.worker import Reply
from gateway.reading import StreamReader, refusal, usage_of
from gateway.resuming import Continuing, continuing

RETRIES: Final = 2
"""Further workers that one request may try, at most."""

_UNREACHABLE: Final = "No worker of the model could be reached."

_UNKNOWN_NAME: Final = frozenset({400, 404})
"""How engines refuse a name: vLLM and LMDeploy with 404, SGLang with 400."""

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
            while call.exchange.attempts <= _tries(failure):
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
        exclude = frozenset(tried)
        lease = call.pool.at_once(exclude, prefix, call.needs)
        if lease is None:
            lease = await call.pool.lease(exclude, call.priority, call.patience.left, prefix, call.wait, call.needs)
        try:
            exchange.sent = sent = self._clock()
            exchange.attempt(lease.worker.id, lease.choice, lease.loads, asked, sent)
            tried.add(lease.worker.id)
            call.patience.attempt()
            going_on = self._continuing(call, lease) if exchange.stream else None
            body = _spelled(call, want_ids=going_on is not None and going_on.said is not None)
            reply = await lease.worker.send(call.operation.path, body, call.patience, exchange)
            exchange.first_byte = self._clock()
            if exchange.stream and reply.status == 200 and reply.is_stream():
                return await self._stream(call, lease, reply, going_on)
            try:
                arrived = reply.arrived()
                whole = self._whole(call, reply, await reply.whole() if arrived is None else arrived)
            finally:
                reply.close()
            lease.release(Outcome.WORKED)
        except BaseException as fault:
            self._failed(call, lease, fault)
            if isinstance(fault, AdapterMissing):
                tried.discard(lease.worker.id)  # it will hold it again, and is not leased before
            raise
        return whole

    def _failed(self, call: Call, lease: Lease, fault: BaseException) -> None:
        """Note why an attempt ended, and give its worker back."""
        exchange, now = call.exchange, self._clock()
        if isinstance(fault, EngineRefused):  # in the engine's own words, which may hold the prompt
            exchange.failed(fault.code or fault.type, "The engine refused the request.", now)
        elif isinstance(fault, WorkerFailed | TimedOut):
            exchange.failed(fault.code or fault.type, str(fault), now)
        settle(lease, fault, self._suspect, now)

    async def _stream(self, call: Call, lease: Lease, reply: Reply, going_on: Continuing | None) -> Answer:
        """A stream's answer, which owns `lease` and `reply` from here on."""
        reader = StreamReader(call.operation, hide_usage=_wants_usage(call))
        suspect = partial(self._suspect, lease.worker.id)
        stream = StreamAnswer(call.operation, reader, reply, lease, call.exchange, self._clock, suspect, going_on)
        await stream.first()
        return stream

    def _continuing(self, call: Call, lease: Lease) -> Continuing:
        counted = partial(self._resumed, call.target.model.name)
        return continuing(call, lease, self._suspect, counted, self._clock)

    def _whole(self, call: Call, reply: Reply, body: bytes) -> Answer:
        """A JSON answer, understood. Raises `EngineRefused` for the engine's own 4xx."""
        reply.check()
        if reply.status >= 400:
            refused = refusal(reply.status, body)
            raise _missing(refused) if call.needs and call.needs in str(refused) else refused
        if call.exchange.stream and call.operation.streams:  # clients would find no event in it, and end silently
            raise WorkerFailed("The worker answered the request for a stream with a whole body.")
        call.exchange.usage = usage_of(body)
        return WholeAnswer(call.operation, reply.status, body, call.exchange, self._clock)


def _missing(refused: EngineRefused) -> GatewayError:
    """An engine's refusal in which it names the adapter that it was leased for: that is ours to mend."""
    if refused.answered_status not in _UNKNOWN_NAME:
        return refused
    return AdapterMissing("The worker does not hold the adapter.")


def _wants_usage(call: Call) -> bool:
    """Whether the engine is asked for the usage event of a stream whose client did not."""
    return call.exchange.stream and call.operation.usage_on_request and not call.usage_asked


def _spelled(call: Call, *, want_ids: bool) -> bytes:
    """The request's body as the worker's engine wants it."""
    served_name = None if call.target.served_name == call.target.requested else call.target.served_name
    return call.engine.prepare(call.body, served_name=served_name, want_usage=_wants_usage(call), want_ids=want_ids)


def _tries(failure: WorkerFailed | FirstTokenTimeout) -> int:
    """How many workers may have failed like this before it is the answer."""
    return 1 if isinstance(failure, FirstTokenTimeout | AdapterMissing) else RETRIES


def _verdict(failure: GatewayError, nobody: Unavailable) -> GatewayError:
    """What to say when nobody is left to try: the failure itself, or that nobody can be reached."""
    return nobody if isinstance(failure, WorkerUnreachable) else failure
