"""A model's workers: prepares what they need, then keeps every seat taken. Run by `succession`, one task a pool.

A pool never gives up; whether it comes up at all is told to its `ordeal`, and what follows from that is not its affair.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from engines.engine import Engine
from engines.launchers.launcher import Launcher, Prepared, Seat
from engines.ledger.site import Lodge
from engines.progress import Progress, Report
from engines.supervisor.attendance import Attendance
from engines.supervisor.board import Board, Row
from engines.supervisor.events import Announce, ModelFailed, ModelReady, WorkerLost
from engines.supervisor.holds import Holds
from engines.supervisor.memory import Memory, NotAdmitted
from engines.supervisor.ordeal import Ordeal
from engines.supervisor.pacing import Pacing
from engines.supervisor.parity import Parity
from engines.supervisor.probe import Prober
from engines.supervisor.starts import StartTimes
from engines.supervisor.worker import Clock, Outlets, Worker
from registry.snapshot import Loading, ModelView, OnDemand, WorkerState, WorkerView
from registry.spec import ModelSpec, Registry


class PreparationFailed(Exception):
    """A model's environment or weights are not to be had now; the message says why and what to do."""


Prepare = Callable[[str, ModelSpec, Report], Awaitable[Prepared]]
"""Makes what a model's workers are started from, reporting progress. Raises `PreparationFailed`."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What all pools share."""

    board: Board
    holds: Holds
    prepare: Prepare
    prober: Prober
    parity: Parity
    pacing: Pacing
    clock: Clock
    starts: StartTimes
    memory: Memory
    attendance: Attendance
    lodge: Lodge
    models: Callable[[Registry], None]
    """Who else has to know what models there are."""
    announce: Announce
    report: Report


def view(name: str, spec: ModelSpec, created: int, loads_in: float) -> ModelView:
    """A model as gateways first see it: no worker yet. One on demand takes `loads_in` seconds once it is asked for."""
    return ModelView(
        name=name,
        engine=spec.engine,
        served_name=name,
        aliases=tuple(spec.aliases),
        context=spec.context,
        created=created,
        timeouts=spec.timeouts.limits(),
        queue=spec.queue.limits(),
        balance=spec.balance,
        allow=spec.allow,
        adapter_slots=spec.adapters.slots,
        loading=Loading("waiting to be prepared") if spec.least else None,
        on_demand=OnDemand(0.0 if spec.least else terms.wait, loads_in) if (terms := spec.on_demand) else None,
    )


class Pool:
    """Invariant: its row's `loading` is set until the first worker has been ready, and never again; but a pool on
    demand is dormant first, with neither worker nor `loading`, until it is woken.
    """

    def __init__(
        self,
        name: str,
        spec: ModelSpec,
        engine: Engine,
        launcher: Launcher,
        shared: Shared,
        *,
        row: Row,
        generation: int = 1,
        after: str | None = None,
    ) -> None:
        self._name: Final = name
        self._spec: Final = spec
        self.engine: Final = engine
        self._launcher: Final = launcher
        self._shared: Final = shared
        self._row: Final = row
        self._generation: Final = generation
        self.claim: Final = f"{name}#{generation}"
        """What its memory is promised to."""
        self._after: Final = after
        """The claim of the pool that goes when this one is up."""
        self._alone: Final = asyncio.Event()
        """Whether it has gone already, or there was none."""
        if after is None:
            self._alone.set()
        self._begun = shared.clock.now()
        self._awake: Final = asyncio.Event()
        if spec.least:
            self._awake.set()
        self.ready_since: float | None = None
        """When its first worker became ready, by the clock for durations."""
        self._was_ready = False
        self._workers: Final[list[Worker]] = []
        self.ordeal: Final = Ordeal(launcher.seats(spec), shared.pacing.swap_tries)

    @property
    def dormant(self) -> bool:
        """Whether it waits to be woken."""
        return not self._awake.is_set()

    @property
    def admitted(self) -> bool:
        """Whether its workers have been let in."""
        return bool(self._workers)

    def wake(self) -> None:
        """Somebody asks for the model: come up."""
        if self.dormant:
            self._begun = self._shared.clock.now()
            self._row.loading(Loading("waiting to be prepared"))
            self._awake.set()

    async def run(self) -> None:
        """Until cancelled; then every worker is stopped, side by side."""
        await self._awake.wait()
        prepared = await self._prepared() if self._launcher.prepares else None
        seats = [
            Seat(self._name, number, self._spec, self.engine, prepared, self._generation)
            for number in range(self._launcher.seats(self._spec))
        ]
        self._workers.extend(self._worker(seat) for seat in seats)
        try:
            async with asyncio.TaskGroup() as group:
                for worker in self._workers:
                    group.create_task(worker.run())
                await asyncio.sleep(self._shared.pacing.start_within)
                self.ordeal.hopeless(f"not ready after {self._shared.pacing.start_within:g} s")
        finally:
            self._shared.memory.release(self.claim)

    def suspect(self, worker_id: str) -> None:
        """Passed on to the worker of this id, if it is one of ours."""
        for worker in self._workers:
            worker.suspect(worker_id)

    def leave(self) -> None:
        """Its workers get no new request: they go on with what they have, and none is started again."""
        for worker in self._workers:
            worker.leave()

    def go_alone(self) -> None:
        """The pool before it has gone: whatever it took is free."""
        self._alone.set()
        self.ordeal.go_on()

    async def _prepared(self) -> Prepared:
        """Tries until it succeeds: a network comes back, a disk is cleared, a file is put right, memory is free."""
        failures = 0
        while True:
            try:
                prepared = await self._shared.prepare(self._name, self._spec, self._preparing)
                return await self._admitted(prepared)
            except PreparationFailed as failed:
                failures += 1
                self.ordeal.failed(str(failed))
                wait = self._shared.pacing.prepare_again(failures)
                await self._put_off("preparation failed, trying again", str(failed), wait)
            except NotAdmitted as refused:
                failures += 1
                self.ordeal.failed(str(refused))
                wait = self._shared.pacing.admit_again(failures)
                await self._put_off("not started, trying again", str(refused), wait)

    async def _admitted(self, prepared: Prepared) -> Prepared:
        """Once there is room; waits for the end of the pool before it where that would help. Raises `NotAdmitted`."""
        spec, memory = self._spec, self._shared.memory
        if spec.strategy == "replace":
            await self._until_alone("strategy: replace")
        if not self._launcher.here:
            return prepared
        admit = partial(memory.admit, self.claim, spec, self.engine, prepared, self._name)
        try:
            return await self._shared.attendance.take(admit, self._wait_for_room)
        except NotAdmitted as refused:
            if spec.strategy == "surge" or self._alone.is_set() or not refused.fits_without(self._after):
                raise
            await self._until_alone(str(refused))
        return await self._shared.attendance.take(admit, self._wait_for_room)

    async def _until_alone(self, reason: str) -> None:
        if not self._alone.is_set():
            self.ordeal.no_room(reason)
            expected = self._shared.starts.expected(self._name)
            self._row.loading(Loading("waiting for the old workers to end what they have", eta=expected))
            await self._alone.wait()

    def _wait_for_room(self) -> None:
        self._row.loading(Loading("waiting for the memory that other models have"))

    async def _put_off(self, step: str, reason: str, wait: float) -> None:
        self._row.loading(Loading(step, eta=wait, reason=reason))
        self._shared.announce(ModelFailed(self._name, reason, wait))
        await asyncio.sleep(wait)

    def _preparing(self, progress: Progress) -> None:
        fraction = None if progress.fraction is None else round(progress.fraction, 2)
        eta = None if progress.eta is None else round(progress.eta)
        self._row.loading(Loading(f"{progress.task}: {progress.step}", fraction, eta))
        self._shared.report(progress)

    def _worker(self, seat: Seat) -> Worker:
        shared = self._shared
        outlets = Outlets(
            show=lambda worker: self._show(seat, worker),
            loading=lambda loading: self._starting(seat, loading),
            served_as=self._row.served_as,
            started_in=lambda seconds: shared.starts.record(self._name, seconds),
            settled=lambda pid: shared.memory.settled(self.claim, seat.number, pid),
            announce=self._heard,
        )
        expected = shared.starts.expected(self._name)
        return Worker(seat, self._launcher, shared.prober, shared.pacing, outlets, shared.clock, expected, shared.lodge)

    def _heard(self, lost: WorkerLost) -> None:
        self.ordeal.failed(lost.reason)
        self._shared.announce(lost)

    def _starting(self, seat: Seat, loading: Loading) -> None:
        if not self._was_ready:
            self._row.loading(loading)
        self._shared.report(Progress(f"worker {seat.name}", loading.step, loading.fraction, loading.eta))

    def _show(self, seat: Seat, worker: WorkerView) -> None:
        self._row.worker(seat.number, worker)
        if worker.state is WorkerState.CRASH_LOOP and not self._was_ready:
            self._row.loading(None)  # it is held down: nothing is being loaded any more
        if worker.state in {WorkerState.STARTING, WorkerState.BACKOFF}:
            self._shared.memory.owe(self.claim, seat.number)
        if worker.state is WorkerState.CRASH_LOOP:
            self._shared.memory.spare(self.claim, seat.number)
        if worker.state is not WorkerState.READY:
            return
        self._shared.report(Progress(f"worker {seat.name}", "ready", 1.0))
        if not self._was_ready:
            self._was_ready, self.ready_since = True, self._shared.clock.now()
            self._row.loading(None)
            self._shared.announce(ModelReady(self._name, self._shared.clock.now() - self._begun))
        self.ordeal.proved(seat.number)
