"""The workers of a soak: fake ones, killed by turns and started again. Used by `__main__` and the goals.

It plays the supervisor's part: a worker's death is published a little late, so that the gateway has to cope alone
for a while, and a new worker only once it answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from registry.snapshot import Timeouts
from tests import processes
from tests.processes import FakeWorker, Gateway, model

SIZE: Final = 3
CAPACITY: Final = 256
_UNNOTICED: Final = 0.5
"""Seconds that a dead worker stays in the snapshot."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long anything may stand still before that is a failure."""

    requests: Timeouts
    settling: float
    """Seconds that everything has to come back to rest at the end."""

    @classmethod
    def of(cls, scale: float) -> Self:
        """A run of this scale: only a whole one is promised a machine that is not busy with something else."""
        return cls.strict() if scale >= 1 else cls.lenient()

    @classmethod
    def strict(cls) -> Self:
        """For a long run: whoever stands still for ten seconds there has got stuck."""
        return cls(Timeouts(first_token=10.0, idle=10.0, answer=30.0), settling=15.0)

    @classmethod
    def lenient(cls) -> Self:
        """For a short one among other tests on a slow machine, which itself stands still at times."""
        return cls(Timeouts(first_token=60.0, idle=60.0, answer=120.0), settling=60.0)


@dataclass(frozen=True, slots=True)
class Kill:
    """One worker's end, at `at` seconds of the monotonic clock."""

    worker: str
    at: float


class Crew:
    """Invariant: while it is open, all workers but the one being replaced run and are published."""

    def __init__(
        self,
        gateway: Gateway,
        seed: int,
        *,
        limits: Limits,
        size: int = SIZE,
        capacity: int = CAPACITY,
        script: Sequence[str] = (),
    ) -> None:
        self.kills: Final[list[Kill]] = []
        self._gateway: Final = gateway
        self._limits: Final = limits
        self._size: Final = size
        self._capacity: Final = capacity
        """Requests that each worker runs at once."""
        self._script: Final = script
        """Options of the fake engine: what it does with a request that does not say."""
        self._chance: Final = random.Random(seed)
        self._workers: Final[list[FakeWorker]] = []
        self._open: Final = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as opening:
            opening.push(self._open)
            self._workers.extend(self._start(processes.free_port()) for _ in range(self._size))
            self._publish(self._workers)
            opening.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    async def kill_by_turns(self, every: float) -> None:
        """Kill a random worker every so many seconds, and replace it, until cancelled."""
        while True:
            await asyncio.sleep(every)
            number = self._chance.randrange(self._size)
            victim = self._workers[number]
            self.kills.append(Kill(victim.view().id, time.monotonic()))
            victim.kill()
            await asyncio.sleep(_UNNOTICED)
            self._publish([worker for worker in self._workers if worker is not victim])
            port = victim.port if self._chance.random() < 0.5 else processes.free_port()
            self._workers[number] = await asyncio.to_thread(self._start, port)
            self._publish(self._workers)

    async def left(self) -> list[str]:
        """What should be at rest now that nobody asks any more, and is not after a while."""
        deadline = time.monotonic() + self._limits.settling
        while left := self._busy():
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(0.1)
        return left

    def _busy(self) -> list[str]:
        gauges = ("enginehouse_inflight_requests", "enginehouse_queue_depth")
        counts = {name: self._gateway.metric(name) for name in gauges}
        for worker in self._workers:
            if worker.process.poll() is not None:
                continue  # killed at the very end, and not replaced any more
            seen = worker.counts()
            counts[f"running on {worker.view().id}"] = seen["running"]
            counts[f"waiting on {worker.view().id}"] = seen["waiting"]
        return [f"{name}: {count:g}" for name, count in counts.items() if count]

    def _start(self, port: int) -> FakeWorker:
        room = ("--max-num-seqs", str(self._capacity))
        return self._open.enter_context(processes.fake_worker(*room, *self._script, port=port))

    def _publish(self, workers: list[FakeWorker]) -> None:
        views = [worker.view(capacity=self._capacity) for worker in workers]
        self._gateway.supervisor.publish(model(*views, timeouts=self._limits.requests))
