"""One model's workers, and the queue in front of them.

`lease` is the only way to a worker. Choosing is a synchronous assignment: nobody can come between the choice and
the count. Built by `pool.house` from snapshots; used by `relay`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from gateway.balance.pace import Pace
from gateway.balance.policies import POLICIES
from gateway.balance.policy import Choice, Policy, Reason
from gateway.balance.prefix import NO_PREFIX, Prefix
from gateway.errors import GatewayError, QueueFull, QueueTimeout
from gateway.pool.departures import Departures
from gateway.pool.lease import NO_LOADS, Lease, Outcome, Wish, hand_back
from gateway.pool.loading import absent, awaited, comes, nobody
from gateway.pool.queue import Priority
from gateway.pool.residence import BELIEVED_AGAIN, Adapters, Residence, alone
from gateway.pool.retries import Retries
from gateway.pool.waiting import Waiting
from gateway.pool.worker import Worker
from registry.adapter_orders import Demand
from registry.snapshot import ModelView, WorkerState


class Pool:
    """Invariant: a request waits here only while every worker that it may use is full, or behind others that do, or
    while a worker is started, or its adapter loaded, because of it.
    """

    def __init__(
        self,
        model: ModelView,
        clock: Callable[[], float],
        chance: Callable[[], float] = random.random,
        departures: Departures | None = None,
        asked: Callable[[str], None] = lambda _: None,
        adapters: Adapters | None = None,
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
        self._waiting: Final = Waiting()
        self._plain: Final = self._waiting.plain
        self._residence: Final = Residence(model.name, adapters or alone(), clock)
        self._pace: Final = Pace()
        self._alarm: asyncio.TimerHandle | None = None
        self._active = 0
        self.retries: Final = Retries(lambda: self._active)
        """Held around every further attempt of a request."""

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return self._waiting.length

    @property
    def active(self) -> int:
        """Open leases, those on workers that are gone from the snapshot included."""
        return self._active

    @property
    def ready(self) -> bool:
        """Whether any worker can serve."""
        return bool(self._ready)

    def holds(self, needs: str) -> bool:
        """Whether any worker can serve a request that needs this adapter (empty: none)."""
        return bool(self._residence.of(needs) if needs else self._ready)

    def demand(self) -> dict[str, Demand]:
        """How much its adapters are used, by the engines' names for them; those that are or were just used."""
        return self._residence.demand((each, self._waiting.of(each)) for each in self._waiting.adapters)

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
        self._residence.update(self._ready, self._waiting.adapters)
        for worker in gone.values():
            self._policy.gone(worker.id)
            self._departures.gone(worker)
        if self._waiting.length:
            self._serve_queue(self._waiting.adapters)

    def retire(self) -> None:
        """The model is gone from the snapshot: nobody waits for it any more."""
        for worker in self._workers.values():
            self._departures.gone(worker)
        self._workers = {}
        self._ready = ()
        self._residence.update((), ())
        self.model = msgspec.structs.replace(self.model, on_demand=None, loading=None)
        self._serve_queue(self._waiting.adapters)

    def at_once(self, exclude: frozenset[str], prefix: Prefix, needs: str = "") -> Lease | None:
        """As `lease`, without waiting; None: `lease` will wait, or say why there is nothing to wait for."""
        if self._plain.length or (needs and self._waiting.of(needs)):
            return None
        candidates = self._candidates(exclude, needs)
        return self._assign(candidates, prefix, needs) if candidates else None

    async def lease(
        self,
        exclude: frozenset[str] = frozenset(),
        priority: Priority = Priority.NORMAL,
        limit: float | None = None,
        prefix: Prefix = NO_PREFIX,
        patience: float | None = None,
        needs: str = "",
    ) -> Lease:
        """Hold a ready worker that is not in `exclude`; wait for one at most `limit` seconds if all are full.

        `prefix` may draw the request to a worker; whether it is looked at is the policy's affair. `patience` is how
        long the client waits for what has to be loaded first; None: as long as the model allows. `needs` is the
        adapter that the worker must hold, as engines call it; one that nobody holds is asked for.

        Raises `loading.nobody` or `absent`, what `residence` says is hopeless, `QueueFull`, `QueueTimeout`.
        """
        lease = self.at_once(exclude, prefix, needs)
        if lease is not None:
            return lease
        longest = self.model.queue.wait if self._candidates(exclude, needs) else self._ask(exclude, patience, needs)
        waiting = self._waiting.length
        if waiting >= self.model.queue.limit and not exclude:  # who was admitted once is not shed on the way
            raise QueueFull(
                f"{waiting} requests already wait for '{self.model.name}'.", retry_after=self._pace.wait_for(waiting)
            )
        wish = Wish(exclude, prefix, needs)
        return await self._wait(wish, priority, longest if limit is None else min(limit, longest))

    def _ask(self, exclude: frozenset[str], patience: float | None, needs: str) -> float:
        """Has a worker started, or the adapter loaded; the seconds for which it may be waited for. Raises what is to be
        said instead.
        """
        on_demand = self.model.on_demand
        if needs and self._candidates(exclude):
            if fault := self._residence.hopeless(needs):
                raise fault
            if exclude or not self._waiting.of(needs):  # else somebody has said it who still waits
                self._residence.want(needs, exclude)
            longest = self.model.queue.wait
        elif exclude or not self.comes:
            raise nobody(self.model)
        else:
            self._asked(self.model.name)
            longest = on_demand.wait if on_demand else self.model.queue.wait
        if patience is not None:
            longest = min(patience, longest)
        if longest <= 0:
            raise self._nobody(needs)
        return longest

    async def _wait(self, wish: Wish, priority: Priority, wait: float) -> Lease:
        place = self._waiting.join(priority, wish)
        self._serve_queue(self._waiting.adapters)
        lease = None
        try:
            async with asyncio.timeout(wait):
                lease = await place.turn
        except TimeoutError:
            if not self.holds(wish.needs):
                raise self._nobody(wish.needs) from None
            raise QueueTimeout(
                f"No worker of '{self.model.name}' became free in {wait:g} s.",
                retry_after=self._pace.wait_for(self._waiting.length),
            ) from None
        finally:
            self._waiting.leave(place)
            if lease is None:
                hand_back(place.turn)
        return lease

    def _nobody(self, needs: str) -> GatewayError:
        return absent(needs) if needs and self._ready else nobody(self.model)

    def _candidates(self, exclude: frozenset[str], needs: str = "") -> tuple[Worker, ...]:
        able = self._residence.of(needs) if needs else self._ready
        return tuple(worker for worker in able if worker.id not in exclude) if exclude else able

    def _assign(self, candidates: tuple[Worker, ...], prefix: Prefix, needs: str) -> Lease | None:
        """A lease now, on a worker that has room and whose breaker admits it; None where there is none."""
        if self._sole is not None:  # whatever its breaker says: the last one is never left alone
            only = candidates[0]
            return self._hold(only, self._sole, NO_LOADS, needs) if only.free() else None
        now = self._clock()
        admitted = [worker for worker in candidates if worker.breaker.admits(now)]
        free = [worker for worker in admitted or candidates if worker.free()]
        if not free:
            return None
        loads = {worker.id: (worker.inflight + 1) / worker.breaker.weight(now) for worker in free}
        choice = self._policy.choose(loads, prefix, now)
        return self._hold(self._workers[choice.worker], choice, loads, needs)

    def _hold(self, worker: Worker, choice: Choice, loads: Mapping[str, float], needs: str) -> Lease:
        worker.inflight += 1
        self._active += 1
        if needs:
            self._residence.begin(worker.id, needs)
        return Lease(worker, self._released, worker.breaker.sent(), choice, loads, needs)

    def _released(self, lease: Lease, outcome: Outcome) -> None:
        self.used = now = self._clock()
        lease.worker.inflight -= 1
        self._active -= 1
        if lease.needs:
            self._residence.end(lease.worker.id, lease.needs)
        if lease.worker.gone and not lease.worker.inflight:
            self._departures.empty(lease.worker)
        breaker = lease.worker.breaker
        if outcome is Outcome.WORKED:
            breaker.worked(now, trial=lease.trial)
        elif outcome is Outcome.FAILED:
            breaker.failed(now, self._chance(), trial=lease.trial)
        else:
            breaker.unknown(trial=lease.trial)
        if outcome is Outcome.MISSING:
            self._residence.missed(lease.worker.id, lease.needs)
            asyncio.get_running_loop().call_later(BELIEVED_AGAIN, self._believe)
        self._pace.served(now, busy=self._plain.length > 0)
        if self._waiting.length:
            self._serve_queue(lease.worker.view.resident)

    def _believe(self) -> None:
        if self._residence.believe():
            self._serve_queue(self._waiting.adapters)

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
        self._serve_queue(self._waiting.adapters)

    def _serve_queue(self, adapters: Iterable[str]) -> None:
        """Give every waiting request that can have one its worker, in the order of the queue: those who need one of
        `adapters`, and those who need none.
        """
        for place in self._waiting.in_order(adapters):
            if place.turn.done():
                continue  # cancelled in this very instant
            wish = place.wish
            candidates = self._candidates(wish.exclude, wish.needs)
            if not candidates:
                if fault := self._vain(wish):
                    self._waiting.call(place, fault)
                continue
            lease = self._assign(candidates, wish.prefix, wish.needs)
            if lease is not None:
                self._waiting.call(place, lease)
                continue
            self._return_of(candidates)
            if not wish.exclude and not wish.needs:
                return  # who may use any worker finds none: nobody behind it will

    def _vain(self, wish: Wish) -> GatewayError | None:
        """Why who waits and finds no worker waits no more; None: one comes, or its adapter comes to one."""
        comes = (wish.needs and self._candidates(wish.exclude)) or (not wish.exclude and awaited(self.model))
        return self._residence.hopeless(wish.needs) or (None if comes else nobody(self.model))
