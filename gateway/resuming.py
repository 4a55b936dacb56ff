"""A stream's way over the death of its worker: find another one, and have it go on.

`relay` makes one `Continuing` for each stream, `answers` asks it when the worker has failed in the middle. What may be
continued, from where and by which call is decided in `gateway.resume`, purely; here it is done.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple, Protocol

from gateway.balance.prefix import Prefix
from gateway.call import Call
from gateway.errors import FirstTokenTimeout, GatewayError, NoWorker, TotalTimeout, Unavailable, WorkerFailed
from gateway.operations import OPERATIONS
from gateway.pool.pool import Lease, Outcome
from gateway.pool.worker import Reply
from gateway.reading import StreamReader
from gateway.resume.decide import Continuation, decide, twins
from gateway.resume.joint import Diverged, Joint
from gateway.resume.request import Asked, Reason, understand
from gateway.resume.transcript import Transcript

TRIES: Final = 3
"""Workers that may fail a stream one after the other without a new token between."""

RESUMED: Final = "resumed"
FAILED: Final = "failed"

Notice = Callable[[str, str], None]
_BY_PATH: Final = {operation.path: operation for operation in OPERATIONS}


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
            if self._fruitless > TRIES:
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

    def _twins(self) -> list[str]:
        """The workers that could go on, whether they are ready or not."""
        workers = self._call.pool.model.workers
        return [each.id for each in workers if each.id not in self._tried and twins(self._first, each)]

    async def _tried_by_another(self, going: Continuation) -> Resumed:
        """One attempt, within the pool's budget of retries: a dying worker must not take the others with it."""
        call = self._call
        async with call.pool.retries:
            lease = await self._leased()
            self._tried.add(lease.worker.id)
            call.patience.attempt()
            try:
                resumed = await self._begun(going, lease)
            except BaseException as fault:
                failed = isinstance(fault, WorkerFailed | FirstTokenTimeout)
                lease.release(Outcome.FAILED if failed else Outcome.UNKNOWN)
                if isinstance(fault, GatewayError):
                    call.exchange.failed(fault.code or fault.type, str(fault), self._clock())
                if failed:
                    self._suspect(lease.worker.id, str(fault))
                raise
            call.exchange.trials[-1].first_token = self._clock()
            return resumed

    async def _leased(self) -> Lease:
        """A twin of the first worker. The request was admitted once: it waits in the queue however long that is."""
        call = self._call
        call.exchange.asked = asked = self._clock()
        while True:
            strangers = {each.id for each in call.pool.model.workers if not twins(self._first, each)}
            wrong = frozenset(self._tried | strangers)
            lease = await call.pool.lease(wrong, call.priority, call.patience.left, self._prefix)
            if twins(self._first, lease.worker.view):
                call.exchange.attempt(lease.worker.id, lease.choice, lease.loads, asked, self._clock())
                return lease
            lease.release()  # it came while we waited
            if not self._twins():
                raise NoWorker("No worker of the same weights is left.")

    async def _begun(self, going: Continuation, lease: Lease) -> Resumed:
        """The continuation, sent, and its first bytes."""
        call = self._call
        reply = await lease.worker.send(going.call.path, going.call.body, call.patience, call.exchange)
        try:
            piece = await _first_of(reply)
        except BaseException:
            reply.close()
            raise
        reader = StreamReader(_BY_PATH[going.call.path], hide_usage=False)
        joint = Joint(call.operation.path, self._asked, self.said, going)
        return Resumed(lease, reply, reader, joint, piece, partial(self._suspect, lease.worker.id))


async def _first_of(reply: Reply) -> bytes:
    """The first bytes of a stream. Raises like `Reply.next`, and where it is none."""
    if reply.status != 200 or not reply.is_stream:
        raise _refusal(reply)
    piece = await reply.next(first=True)
    if not piece:
        raise WorkerFailed("The worker ended the continuation before it began.")
    return piece


def _refusal(reply: Reply) -> GatewayError:
    """What a reply that is no stream says of its worker: a 4xx is not its fault."""
    if 400 <= reply.status < 500 and reply.status != 429:
        return GatewayError("The worker refused the continuation.")
    return WorkerFailed(f"The worker answered the continuation with status {reply.status}.")
