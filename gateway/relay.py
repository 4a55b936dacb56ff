"""THE FLOW: one call → a worker → an answer. The one retry loop of the program lives here.

`api.inference` gives a `Call`; `begin` leases a worker, sends, and waits for the first bytes that may be shown to
the client; what it returns is an ASGI response that owns the rest. Until then, and only until then, another
worker may be tried.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from engines.engine import Engine
from gateway.answers import Answer, StreamAnswer, WholeAnswer
from gateway.errors import FirstTokenTimeout, NoWorker, WorkerBusy, WorkerFailed, WorkerUnreachable
from gateway.exchange import Exchange
from gateway.operations import Operation
from gateway.pool.pool import Lease, Pool
from gateway.pool.worker import Reply
from gateway.reading import StreamReader, refusal, usage_of
from registry.snapshot import Target

RETRIES: Final = 2
"""Further workers that one request may try, at most."""

Notice = Callable[[str, str], None]
"""What the relay tells others: `suspect(worker id, reason)` the supervisor, `retried(model, reason)` the metrics."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request, understood: everything that the attempts need, and nothing that they change."""

    operation: Operation
    target: Target
    pool: Pool
    engine: Engine
    body: bytes
    stream: bool
    usage_asked: bool
    """Whether the client asked for the usage event of its stream."""
    exchange: Exchange


class Relay:
    """Stateless: every request's state is in its `Call`, its `Exchange` and its `Lease`."""

    def __init__(self, *, clock: Callable[[], float], suspect: Notice, retried: Notice) -> None:
        self._clock: Final = clock
        self._suspect: Final = suspect
        self._retried: Final = retried

    async def begin(self, call: Call) -> Answer:
        """The answer, its first bytes in hand. Raises `GatewayError` where there is none."""
        target = call.target
        wants_usage = call.stream and call.operation.usage_on_request and not call.usage_asked
        served_name = None if target.served_name == target.requested else target.served_name
        body = call.engine.prepare(call.body, served_name=served_name, want_usage=wants_usage)
        tried: set[str] = set()
        failure: WorkerFailed | FirstTokenTimeout | None = None
        while len(tried) <= RETRIES:
            try:
                lease = await self._lease(call, frozenset(tried))
            except NoWorker as nobody:
                raise _verdict(failure, nobody) from failure
            tried.add(lease.worker.id)
            if failure is not None:
                self._retried(target.model.name, failure.code or failure.type)
            try:
                return await self._attempt(call, lease, body, hide_usage=wants_usage)
            except (WorkerFailed, FirstTokenTimeout) as fault:
                self._suspect(lease.worker.id, str(fault))
                failure = fault
        raise failure or NoWorker("No worker was tried.")

    async def _lease(self, call: Call, tried: frozenset[str]) -> Lease:
        began = self._clock()
        lease = await call.pool.lease(tried)
        call.exchange.queued += self._clock() - began
        call.exchange.worker = lease.worker.id
        call.exchange.attempts += 1
        return lease

    async def _attempt(self, call: Call, lease: Lease, body: bytes, *, hide_usage: bool) -> Answer:
        """Send to one worker. The lease goes into a stream's answer; in every other case it ends here."""
        exchange = call.exchange
        exchange.sent = self._clock()
        try:
            reply = await lease.worker.send(call.operation.path, body, call.target.model.timeouts, exchange)
        except BaseException:
            lease.release()
            raise
        exchange.first_byte = self._clock()
        if reply.status == 200 and reply.is_stream:
            reader = StreamReader(call.operation, hide_usage=hide_usage)
            answer = StreamAnswer(call.operation, reader, reply, lease, exchange, self._clock)
            await answer.first()
            return answer
        try:
            return await self._whole(call, reply)
        finally:
            reply.close()
            lease.release()

    async def _whole(self, call: Call, reply: Reply) -> Answer:
        """A JSON answer, read to its end and understood. Raises `EngineRefused` for the engine's own 4xx."""
        body = await reply.whole()
        if reply.status in {429, 503}:
            raise WorkerBusy("The worker is too busy to answer.", retry_after=reply.retry_after)
        if reply.status >= 500 or reply.status < 200 or 300 <= reply.status < 400:
            raise WorkerFailed(f"The worker answered with status {reply.status}.")
        if reply.status >= 400:
            raise refusal(reply.status, body)
        call.exchange.usage = usage_of(body)
        return WholeAnswer(reply.status, body, call.exchange, self._clock)


def _verdict(failure: WorkerFailed | FirstTokenTimeout | None, nobody: NoWorker) -> Exception:
    """What to say when nobody is left to try: the failure itself, or that nobody can be reached."""
    return nobody if failure is None or isinstance(failure, WorkerUnreachable) else failure
