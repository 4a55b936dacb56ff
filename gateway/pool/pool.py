"""One model's workers, and the queue in front of them.

`lease` is the only way to a worker. Choosing is a synchronous assignment: nobody can come between the choice and
the count. Built by `pool.house` from snapshots; used by `relay`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.balance.policy import POLICIES
from gateway.errors import GatewayError, ModelLoading, NoWorker, QueueFull, QueueTimeout
from gateway.pool.worker import Worker
from registry.snapshot import ModelView, WorkerState

RETRY_SOON: Final = 2.0
"""Seconds until a worker that died may be back, where nothing better is known."""


class Lease:
    """One request's hold on one worker. `release` may be called any number of times; the first one counts."""

    __slots__ = ("_released", "worker")

    def __init__(self, worker: Worker, released: Callable[[Worker], None]) -> None:
        self.worker: Final = worker
        self._released: Callable[[Worker], None] | None = released

    def release(self) -> None:
        """Give the worker back."""
        released, self._released = self._released, None
        if released is not None:
            released(self.worker)


@dataclass(slots=True, eq=False)
class _Waiting:
    """A request in the queue: what it must not get, and where its lease (or a refusal) arrives."""

    exclude: frozenset[str]
    turn: asyncio.Future[Lease]


class Pool:
    """Invariant: a request waits here only while every worker that it may use is full."""

    def __init__(self, model: ModelView) -> None:
        self.model = model
        self._workers: dict[str, Worker] = {}
        self._queue: Final[deque[_Waiting]] = deque()

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return len(self._queue)

    @property
    def inflight(self) -> int:
        """Open leases on the workers of the present snapshot."""
        return sum(worker.inflight for worker in self._workers.values())

    @property
    def ready(self) -> bool:
        """Whether any worker can serve."""
        return any(worker.view.state is WorkerState.READY for worker in self._workers.values())

    def update(self, model: ModelView) -> None:
        """Take over what the newest snapshot says. Leases on workers that are gone go on to their end."""
        kept = {}
        for view in model.workers:
            worker = self._workers.get(view.id)
            if worker is None:
                worker = Worker(view)
            worker.view = view
            kept[view.id] = worker
        gone = [worker for worker_id, worker in self._workers.items() if worker_id not in kept]
        self.model = model
        self._workers = kept
        for worker in gone:
            worker.close()
        self._serve_queue()

    def retire(self) -> None:
        """The model is gone from the snapshot: nobody waits for it any more."""
        for worker in self._workers.values():
            worker.close()
        self._workers = {}
        self._serve_queue()

    async def lease(self, exclude: frozenset[str] = frozenset()) -> Lease:
        """Hold a ready worker that is not in `exclude`, waiting for one if all are full.

        Raises `ModelLoading` or `NoWorker` if none is ready, `QueueFull`, `QueueTimeout`.
        """
        lease = self._assign(exclude)
        if lease is not None:
            return lease
        if len(self._queue) >= self.model.queue.limit:
            raise QueueFull(
                f"{len(self._queue)} requests already wait for '{self.model.name}'.", retry_after=RETRY_SOON
            )
        return await self._wait(_Waiting(exclude, asyncio.get_running_loop().create_future()))

    async def _wait(self, waiting: _Waiting) -> Lease:
        self._queue.append(waiting)
        lease = None
        try:
            async with asyncio.timeout(self.model.queue.wait):
                lease = await waiting.turn
        except TimeoutError:
            raise QueueTimeout(
                f"No worker of '{self.model.name}' became free in {self.model.queue.wait:g} s.",
                retry_after=self.model.queue.wait,
            ) from None
        finally:
            self._queue.remove(waiting)
            if lease is None:
                _withdraw(waiting.turn)
        return lease

    def _assign(self, exclude: frozenset[str]) -> Lease | None:
        """A lease now; None where all are full. Raises `Unavailable` where none is ready."""
        ready = [
            worker
            for worker in self._workers.values()
            if worker.view.state is WorkerState.READY and worker.id not in exclude
        ]
        if not ready:
            raise self._nobody()
        free = [worker for worker in ready if worker.free]
        if not free:
            return None
        worker = free[POLICIES[self.model.balance](free)] if len(free) > 1 else free[0]
        worker.inflight += 1
        return Lease(worker, self._released)

    def _nobody(self) -> GatewayError:
        loading = self.model.loading
        if loading is None:
            return NoWorker(f"No worker of '{self.model.name}' can serve right now.", retry_after=RETRY_SOON)
        done = "" if loading.fraction is None else f" ({loading.fraction:.0%})"
        message = f"The model '{self.model.name}' is being loaded: {loading.step}{done}."
        return ModelLoading(message, retry_after=loading.eta or RETRY_SOON)

    def _released(self, worker: Worker) -> None:
        worker.inflight -= 1
        if self._queue:
            self._serve_queue()

    def _serve_queue(self) -> None:
        """Give every waiting request that can have one its worker, first come first served."""
        for waiting in tuple(self._queue):
            if waiting.turn.done():
                continue
            try:
                lease = self._assign(waiting.exclude)
            except GatewayError as refusal:
                waiting.turn.set_exception(refusal)
                continue
            if lease is not None:
                waiting.turn.set_result(lease)
            elif not waiting.exclude:
                return  # who may use any worker finds none: nobody behind it will


def _withdraw(turn: asyncio.Future[Lease]) -> None:
    """The request left the queue. A lease that was assigned in the same instant goes back at once."""
    if not turn.done():
        turn.cancel()
    elif not turn.cancelled() and turn.exception() is None:
        turn.result().release()
