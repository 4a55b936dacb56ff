"""A stream's way over the death of its worker: find another one, and have it go on.

`relay` makes one `Continuing` for each stream, `answers` asks it when the worker has failed in the middle. What may be
continued, from where and by which call is decided in `gateway.resume`, purely; here it is done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from math import inf
from typing import Final, NamedTuple, Protocol

from gateway.balance.prefix import Prefix
from gateway.blame import settle
from gateway.call import Call, Notice
from gateway.errors import (
    AdapterMissing,
    FirstTokenTimeout,
    GatewayError,
    NoWorker,
    TotalTimeout,
    Unavailable,
    WorkerBusy,
    WorkerFailed,
)
from gateway.operations import BY_PATH
from gateway.pool.lease import Lease
from gateway.pool.loading import RETRY_SOON
from gateway.pool.worker import Reply
from gateway.reading import StreamReader
from gateway.resume.decide import Continuation, decide, twins
from gateway.resume.joint import Diverged, Joint
from gateway.resume.request import Asked, Reason, understand
from gateway.resume.transcript import Transcript
from registry.snapshot import WorkerState, WorkerView

TRIES: Final = 3
"""Workers that may fail a stream one after the other without a new token between."""

RESUMED: Final = "resumed"
FAILED: Final = "failed"


class Resumed(NamedTuple):
    """Another worker that goes on; whoever gets it gives it back."""

    lease: Lease
    reply: Reply
    reader: StreamReader
    joint: Joint
    piece: bytes
    """The first bytes of its stream."""
    suspect: Callable[[str], None]


class Continuing(Protocol):
    """What becomes of one stream when its worker fails."""

    @property
    def said(self) -> Transcript | None:
        """What the stream has to keep of itself; None: it is never continued."""

    async def go_on(self, fault: GatewayError) -> Resumed | None:
        """Another worker that goes on, or None: tell the client the fault. The failed one was given back before."""


class Ending:
    """A stream that ends with its worker; only counts it."""

    said: Final = None

    def __init__(self, why: Reason, counted: Callable[[str], None]) -> None:
        self._why: Final = why
        self._counted: Final = counted

    async def go_on(self, fault: GatewayError) -> Resumed | None:  # noqa: ARG002 - one signature
        self._counted(f"refused_{self._why}")
        return None


def continuing(
    call: Call, lease: Lease, suspect: Notice, counted: Callable[[str], None], clock: Callable[[], float]
) -> Resuming | Ending:
    """How the stream that is about to begin on `lease` would go on elsewhere.

    `counted` is told every outcome; `suspect` the id of each further worker that fails, and why.
    """
    first = lease.worker.view
    if not first.fingerprint or len(call.pool.model.workers) < 2:  # nobody else: nothing need be kept
        return Ending(Reason.NO_TWIN, counted)
    if call.operation.path not in call.engine.capabilities.token_ids:
        return Ending(Reason.OPERATION, counted)
    asked = understand(call.operation.path, call.body)
    if isinstance(asked, Reason):
        return Ending(asked, counted)
    return Resuming(call, asked, lease, suspect, counted, clock)


class Resuming:
    """A stream that may be continued. Invariant: `said` is all that its client has been told."""

    def __init__(
        self,
        call: Call,
        asked: Asked,
        lease: Lease,
        suspect: Notice,
        counted: Callable[[str], None],
        clock: Callable[[], float],
    ) -> None:
        self.said: Final = Transcript(hide_ids=not asked.ids)
        self._clock: Final = clock
        self._call: Final = call
        self._asked: Final = asked
        self._prefix: Final = Prefix(call.target.served_name, call.body)
        self._first: Final = lease.worker.view
        self._tried: Final = {lease.worker.id}
        self._busy: Final[dict[str, float]] = {}
        """Twins that refused for now, and when each may be asked again."""
        self._suspect: Final = suspect
        self._counted: Final = counted
        self._fruitless = 0
        self._tokens = 0
        """How many there were when a worker was last looked for."""

    async def go_on(self, fault: GatewayError) -> Resumed | None:
        """As `Continuing` says; counts the outcome."""
        if isinstance(fault, TotalTimeout | Diverged):
            self._counted(FAILED)
            return None
        while True:
            going = self._decided()
            if isinstance(going, Reason):
                self._counted(f"refused_{going}")
                return None
            if self._fruitless > TRIES or not await self._rested():
                break
            try:
                resumed = await self._tried_by_another(going)
            except Unavailable:
                break
            except (WorkerFailed, FirstTokenTimeout):
                continue
            except GatewayError:
                break  # it refuses, or the time is over: no other one would do better
            self._counted(RESUMED)
            self._call.exchange.resumes += 1
            return resumed
        self._counted(FAILED)
        return None

    def _decided(self) -> Continuation | Reason:
        call, said = self._call, self.said
        context = self._first.context or call.target.model.context
        going = decide(call.engine, call.operation.path, call.body, call.target.served_name, self._asked, said, context)
        self._fruitless = self._fruitless + 1 if len(said.tokens) <= self._tokens else 1
        self._tokens = len(said.tokens)
        if isinstance(going, Continuation) and not self._twins():
            return Reason.NO_TWIN
        return going

    def _twins(self) -> list[WorkerView]:
        """The workers that could go on, whether they are ready or not."""
        workers = self._call.pool.model.workers
        return [each for each in workers if each.id not in self._tried and twins(self._first, each)]

    async def _rested(self) -> bool:
        """Whether there is a worker to ask; where all are busy, the first that may be asked again is waited for."""
        ready = [each.id for each in self._twins() if each.state is WorkerState.READY]
        if not ready or any(each not in self._busy for each in ready):
            return True
        call = self._call
        first = min(ready, key=self._busy.__getitem__)
        wait = max(0.0, self._busy[first] - self._clock())
        left = call.patience.left
        if wait >= min(call.pool.model.queue.wait, inf if left is None else left):
            return False
        await asyncio.sleep(wait)
        del self._busy[first]
        return True

    async def _tried_by_another(self, going: Continuation) -> Resumed:
        """One attempt, within the pool's budget of retries: a dying worker must not take the others with it."""
        call = self._call
        async with call.pool.retries.turn(call.patience):
            call.exchange.asked = asked = self._clock()
            lease = await self._leased()
            worker = lease.worker.id
            try:
                call.exchange.attempt(worker, lease.choice, lease.loads, asked, self._clock())
                self._tried.add(worker)
                call.patience.attempt()
                return await self._begun(going, lease)
            except BaseException as fault:
                now = self._clock()
                if isinstance(fault, WorkerBusy):
                    self._tried.discard(worker)
                    self._busy[worker] = now + (RETRY_SOON if fault.retry_after is None else fault.retry_after)
                if isinstance(fault, GatewayError):
                    call.exchange.failed(fault.code or fault.type, str(fault), now)
                settle(lease, fault, self._suspect, now)
                raise

    async def _leased(self) -> Lease:
        """A twin of the first worker. The request was admitted once: it waits in the queue however long that is."""
        call = self._call
        while True:
            strangers = {each.id for each in call.pool.model.workers if not twins(self._first, each)}
            wrong = frozenset(self._tried | strangers | self._busy.keys())
            lease = await call.pool.lease(wrong, call.priority, call.patience.left, self._prefix, needs=call.needs)
            if twins(self._first, lease.worker.view):
                return lease
            lease.release()  # it came while we waited
            if not self._twins():
                raise NoWorker("No worker of the same weights is left.")

    async def _begun(self, going: Continuation, lease: Lease) -> Resumed:
        """The continuation, sent, and its first bytes."""
        call = self._call
        reply = await lease.worker.send(going.call.path, going.call.body, call.patience, call.exchange)
        try:
            piece = await _first_of(reply, call.needs)
            call.exchange.trials[-1].first_token = self._clock()
            reader = StreamReader(BY_PATH[going.call.path], hide_usage=False)
            joint = Joint(call.operation.path, self._asked, self.said, going)
            return Resumed(lease, reply, reader, joint, piece, partial(self._suspect, lease.worker.id))
        except BaseException:
            reply.close()
            raise


async def _first_of(reply: Reply, needs: str) -> bytes:
    """The first bytes of a stream. Raises like `Reply.next`, and where it is none."""
    reply.check()
    if needs and reply.status == 404:  # only names are looked up there
        raise AdapterMissing("The worker does not hold the adapter.")
    if reply.status >= 400:
        raise GatewayError("The worker refused the continuation.")
    if reply.status != 200 or not reply.is_stream():
        raise WorkerFailed("The worker answered the continuation with no stream.")
    piece = await reply.next(first=True)
    if not piece:
        raise WorkerFailed("The worker ended the continuation before it began.")
    return piece
