"""One model's workers, and the queue in front of them.

`lease` is the only way to a worker. Choosing is a synchronous assignment: nobody can come between the choice and
the count. Built by `pool.house` from snapshots; used by `relay`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from enum import Enum, auto
from types import MappingProxyType
from typing import Final, NamedTuple

import msgspec

from gateway.balance.pace import Pace
from gateway.balance.policies import POLICIES
from gateway.balance.policy import Choice, Policy, Reason
from gateway.balance.prefix import NO_PREFIX, Prefix
from gateway.errors import QueueFull, QueueTimeout
from gateway.pool.departures import Departures
from gateway.pool.loading import awaited, comes, nobody
from gateway.pool.queue import Priority, Queue
from gateway.pool.retries import Retries
from gateway.pool.worker import Worker
from registry.snapshot import ModelView, WorkerState

_UNCHOSEN: Final = Choice("", Reason.ONLY)
_NO_LOADS: Final[Mapping[str, float]] = MappingProxyType({})


class Outcome(Enum):
    """What a lease's end says about its worker."""

    WORKED = auto()
    FAILED = auto()
    UNKNOWN = auto()


class Lease(msgspec.Struct, eq=False):
    """One request's hold on one worker. `release` may be called any number of times; the first one counts."""

    worker: Worker
    _released: Callable[[Lease, Outcome], None] | None
    trial: bool
    """Whether this request finds out if the worker is back."""
    choice: Choice = _UNCHOSEN
    """Why this worker."""
    loads: Mapping[str, float] = _NO_LOADS
    """What there was to choose from; empty where the pool has one worker only."""

    def release(self, outcome: Outcome = Outcome.UNKNOWN) -> None:
        """Give the worker back, saying how it did."""
        released, self._released = self._released, None
        if released is not None:
            released(self, outcome)


class Wish(NamedTuple):
    """What a waiting request wants of a worker: not to be one of `exclude`, and better to know `prefix`."""

    exclude: frozenset[str]
    prefix: Prefix


class Pool:
    """Invariant: a request waits here only while every worker that it may use is full, or behind others that do, or
    while a worker is started because of it.
    """

    def __init__(
        self,
        model: ModelView,
        clock: Callable[[], float],
        chance: Callable[[], float] = random.random,
        departures: Departures | None = None,
        asked: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.model = model
        self._policy: Policy = POLICIES[model.balance](chance)
        self._clock: Final = clock
        self._chance: Final = chance
        self._departures: Final = departures or Departures(lambda _: None)
        self._asked: Final = asked
        """Told the model's name by every request that finds no worker where one can come."""
        self.used: float | None = None
        """When a request last ended."""
        self._workers: dict[str, Worker] = {}
        self._ready: tuple[Worker, ...] = ()
        self._sole: Choice | None = None
        """Set where there is nothing to choose: the pool's only worker."""
        self._queue: Final[Queue[Lease, Wish]] = Queue()
        self._pace: Final = Pace()
        self._alarm: asyncio.TimerHandle | None = None
        self._active = 0
        self.retries: Final = Retries(lambda: self._active)
        """Held around every further attempt of a request."""

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return self._queue.length

    @property
    def active(self) -> int:
        """Open leases, those on workers that are gone from the snapshot included."""
        return self._active

    @property
    def ready(self) -> bool:
        """Whether any worker can serve."""
        return bool(self._ready)

    @property
    def comes(self) -> bool:
        """Whether a worker comes of itself for a request that waits."""
        return comes(self.model)

    def update(self, model: ModelView) -> None:
        """Take over what the newest snapshot says. Leases on workers that are gone go on to their end."""
        if model.balance != self.model.balance:
            self._policy = POLICIES[model.balance](self._chance)
        kept = {}
        for view in model.workers:
            worker = self._workers.get(view.id)
            if worker is not None and worker.serves(view):
                worker.view = view
                del self._workers[view.id]
            else:
                worker = Worker(view)
            kept[view.id] = worker
        gone, self._workers = self._workers, kept
        self.model = model
        self._ready = tuple(worker for worker in kept.values() if worker.view.state is WorkerState.READY)
        self._sole = Choice(next(iter(kept)), Reason.ONLY) if len(kept) == 1 else None
        for worker in gone.values():
            self._policy.gone(worker.id)
            self._departures.gone(worker)
        self._serve_queue()

    def retire(self) -> None:
        """The model is gone from the snapshot: nobody waits for it any more."""
        for worker in self._workers.values():
            self._departures.gone(worker)
        self._workers = {}
        self._ready = ()
        self.model = msgspec.structs.replace(self.model, on_demand=None, loading=None)
        self._serve_queue()

    def at_once(self, exclude: frozenset[str], prefix: Prefix) -> Lease | None:
        """As `lease`, without waiting; None: `lease` will wait, or say why there is nothing to wait for."""
        candidates = () if self._queue.length else self._candidates(exclude)
        return self._assign(candidates, prefix) if candidates else None

    async def lease(
        self,
        exclude: frozenset[str] = frozenset(),
        priority: Priority = Priority.NORMAL,
        limit: float | None = None,
        prefix: Prefix = NO_PREFIX,
        patience: float | None = None,
    ) -> Lease:
        """Hold a ready worker that is not in `exclude`; wait for one at most `limit` seconds if all are full.

        `prefix` may draw the request to a worker; whether it is looked at is the policy's affair. `patience` is how
        long the client waits for a model that has to be loaded first; None: as long as the model allows.

        Raises `ModelLoading` or `NoWorker` if none is ready, `QueueFull`, `QueueTimeout`.
        """
        lease = self.at_once(exclude, prefix)
        if lease is not None:
            return lease
        longest = self.model.queue.wait if self._candidates(exclude) else self._ask(exclude, patience)
        waiting = self._queue.length
        if waiting >= self.model.queue.limit and not exclude:  # who was admitted once is not shed on the way
            raise QueueFull(
                f"{waiting} requests already wait for '{self.model.name}'.", retry_after=self._pace.wait_for(waiting)
            )
        return await self._wait(Wish(exclude, prefix), priority, longest if limit is None else min(limit, longest))

    def _ask(self, exclude: frozenset[str], patience: float | None) -> float:
        """Has a worker started; the seconds for which it may be waited for. Raises what is to be said instead."""
        on_demand = self.model.on_demand
        if exclude or on_demand is None or not self.comes:
            raise nobody(self.model)
        self._asked(self.model.name)
        longest = on_demand.wait if patience is None else min(patience, on_demand.wait)
        if longest <= 0:
            raise nobody(self.model)
        return longest

    async def _wait(self, wish: Wish, priority: Priority, wait: float) -> Lease:
        place = self._queue.join(priority, wish)
        self._serve_queue()
        lease = None
        try:
            async with asyncio.timeout(wait):
                lease = await place.turn
        except TimeoutError:
            if not self._ready:
                raise nobody(self.model) from None
            raise QueueTimeout(
                f"No worker of '{self.model.name}' became free in {wait:g} s.",
                retry_after=self._pace.wait_for(self._queue.length),
            ) from None
        finally:
            self._queue.leave(place)
            if lease is None:
                _hand_back(place.turn)
        return lease

    def _candidates(self, exclude: frozenset[str]) -> tuple[Worker, ...]:
        if not exclude:
            return self._ready
        return tuple(worker for worker in self._ready if worker.id not in exclude)

    def _assign(self, candidates: tuple[Worker, ...], prefix: Prefix) -> Lease | None:
        """A lease now, on a worker that has room and whose breaker admits it; None where there is none."""
        if self._sole is not None:  # whatever its breaker says: the last one is never left alone
            only = candidates[0]
            return self._hold(only, self._sole, _NO_LOADS) if only.free() else None
        now = self._clock()
        admitted = [worker for worker in candidates if worker.breaker.admits(now)]
        free = [worker for worker in admitted or candidates if worker.free()]
        if not free:
            return None
        loads = {worker.id: (worker.inflight + 1) / worker.breaker.weight(now) for worker in free}
        choice = self._policy.choose(loads, prefix, now)
        return self._hold(self._workers[choice.worker], choice, loads)

    def _hold(self, worker: Worker, choice: Choice, loads: Mapping[str, float]) -> Lease:
        worker.inflight += 1
        self._active += 1
        return Lease(worker, self._released, worker.breaker.sent(), choice, loads)

    def _released(self, lease: Lease, outcome: Outcome) -> None:
        self.used = now = self._clock()
        lease.worker.inflight -= 1
        self._active -= 1
        if lease.worker.gone and not lease.worker.inflight:
            self._departures.empty(lease.worker)
        breaker = lease.worker.breaker
        if outcome is Outcome.WORKED:
            breaker.worked(now, trial=lease.trial)
        elif outcome is Outcome.FAILED:
            breaker.failed(now, self._chance(), trial=lease.trial)
        else:
            breaker.unknown(trial=lease.trial)
        busy = self._queue.length > 0
        self._pace.served(now, busy=busy)
        if busy:
            self._serve_queue()

    def _return_of(self, candidates: tuple[Worker, ...]) -> None:
        """Look at the queue again when the first of the workers that are out may be tried."""
        now = self._clock()
        # Who may be tried already and is full is waited for like any other: its next release serves the queue.
        outs = (worker.breaker.out_until for worker in candidates)
        returns = [out for out in outs if out is not None and out > now]
        if returns and (self._alarm is None or self._alarm.cancelled()):
            self._alarm = asyncio.get_running_loop().call_later(min(returns) - now, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self._serve_queue()

    def _serve_queue(self) -> None:
        """Give every waiting request that can have one its worker, in the order of the queue."""
        for place in self._queue:
            if place.turn.done():
                continue  # cancelled in this very instant
            candidates = self._candidates(place.wish.exclude)
            if not candidates:
                if place.wish.exclude or not awaited(self.model):
                    self._queue.call(place, nobody(self.model))
                continue
            lease = self._assign(candidates, place.wish.prefix)
            if lease is not None:
                self._queue.call(place, lease)
                continue
            self._return_of(candidates)
            if not place.wish.exclude:
                return  # who may use any worker finds none: nobody behind it will


def _hand_back(turn: asyncio.Future[Lease]) -> None:
    """The request left in the same instant in which its turn came: a lease that it never saw goes back at once."""
    if turn.done() and not turn.cancelled() and turn.exception() is None:
        turn.result().release()
