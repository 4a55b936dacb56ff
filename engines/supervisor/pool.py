"""A model's workers: prepares what they need, then keeps every seat taken. Run by `succession`, one task a pool.

A pool never gives up; whether it comes up at all is told to its `ordeal`, and what follows from that is not its affair.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from engines.engine import Engine
from engines.launchers.launcher import Launcher, Prepared, Seat
from engines.progress import Progress
from engines.supervisor.board import Row
from engines.supervisor.crew import Crew, Desk, Opening
from engines.supervisor.entry import Entry, Wanting
from engines.supervisor.events import CutShort, ModelFailed, ModelReady, Scaled, WorkerLost
from engines.supervisor.memory import NotAdmitted
from engines.supervisor.nap import Nap, Phase
from engines.supervisor.ordeal import Ordeal
from engines.supervisor.outlets import Outlets
from engines.supervisor.shared import Shared
from engines.supervisor.worker import Worker
from registry.snapshot import Loading, WorkerState, WorkerView
from registry.spec import ModelSpec


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
        self._spec = spec
        self.engine: Final = engine
        self._launcher: Final = launcher
        self._shared, self._row = shared, row
        self._generation: Final = generation
        self.claim: Final = f"{name}#{generation}"
        """What its memory is promised to."""
        self._begun = shared.clock.now()
        self._awake: Final = asyncio.Event()
        if spec.least:
            self._awake.set()
        self.ready_since: float | None = None
        """When its first worker became ready, by the clock for durations."""
        self._was_ready = False
        self._let_in: Prepared | None = None
        """What its workers are started from, once there is room for the first of them."""
        self._troubles: Final[dict[str, str]] = {}
        """What is amiss, by what it is about."""
        self._amended: Final = asyncio.Event()
        self.nap: Final = Nap(name, self.claim, row, shared)
        self._crew: Final = Crew(self._desk())
        self.resize(spec.within(0))
        self.ordeal: Final = Ordeal(0, shared.pacing.swap_tries)
        self._entry: Final = Entry(
            name, self.claim, engine, shared, row, self.ordeal, lambda: Wanting(self._spec, self.size),
            here=launcher.here, after=after,
        )  # fmt: skip

    def _desk(self) -> Desk:
        return Desk(
            hire=self._hire, admit=self._another, see_off=self._see_off, gone=self._gone, short=self._short,
            complete=lambda: self._amiss("seats"), tight=self._tight,
            away=lambda: self._row.away(self._shared.starts.expected(self._name)), back=lambda: self._row.away(None),
        )  # fmt: skip

    @property
    def dormant(self) -> bool:
        """Whether it waits to be woken, be it that its worker sleeps."""
        return not self.loaded or self.nap.dormant

    @property
    def loaded(self) -> bool:
        """Whether it has been woken ever."""
        return self._awake.is_set()

    @property
    def admitted(self) -> bool:
        """Whether its workers have been let in."""
        return self._let_in is not None and not self.nap.waiting

    @property
    def size(self) -> int:
        """How many workers there shall be."""
        return self._crew.wanted

    @property
    def ready(self) -> int:
        """How many of them serve."""
        return self._crew.ready

    @property
    def capacity(self) -> int:
        """Requests that each of them runs at once."""
        return self.engine.capacity(self._spec.engine_options)

    def scale(self, count: int) -> None:
        """There shall be so many workers, because of its requests."""
        self._shared.announce(Scaled(self._name, self.size, count))
        self.resize(count)

    def resize(self, count: int) -> None:
        """There shall be so many workers, as far as the registry allows; where they are looked up, that decides."""
        if self._launcher.prepares:
            self._crew.want(("",) * self._spec.within(count))

    def amend(self, spec: ModelSpec) -> None:
        """The model is another one from now on, but its workers are the same, if perhaps not as many."""
        self._spec = spec
        self.resize(self.size)
        self._amended.set()
        if spec.least:
            self.wake()

    def wake(self) -> None:
        """Somebody asks for the model: come up."""
        if self.nap.dormant:
            self._begun = self._shared.clock.now()
            self.nap.call()
        elif self.dormant:
            self._begun = self._shared.clock.now()
            eta = self._shared.starts.expected(self._name)
            self._row.loading(Loading("waiting to be prepared", eta=eta))
            self._awake.set()

    def doze(self) -> bool:
        """Has its worker sleep instead of stop; whether it will."""
        alone = self._crew.alone
        if not self._spec.sleeps or self.nap.phase is not Phase.AWAKE or alone is None:
            return False
        self._was_ready, self.ready_since = False, None
        self.nap.begin(*alone)
        return True

    async def run(self) -> None:
        """Until cancelled; then every worker is stopped, side by side."""
        await self._awake.wait()
        try:
            let_in = await self._entry.first() if self._launcher.prepares else None
            self._let_in = let_in.prepared if let_in else None
            self._dress()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._crew.run(("",) * (let_in.count if let_in else 0), self._let_in))
                group.create_task(self._look_around())
                group.create_task(self.nap.run())
                group.create_task(self._stay_dressed())
                await asyncio.sleep(self._shared.pacing.start_within)
                self.ordeal.hopeless(f"not ready after {self._shared.pacing.start_within:g} s")
        finally:
            self._shared.memory.release(self.claim)

    def suspect(self, worker_id: str) -> None:
        """Passed on to the worker of this id, if it is one of ours."""
        self._crew.suspect(worker_id)

    def leave(self) -> None:
        """Its workers get no new request: they go on with what they have, and none is started again."""
        self.nap.leave()
        self._crew.leave()

    def go_alone(self) -> None:
        """The pool before it has gone: whatever it took is free."""
        self._entry.go_alone()
        self.ordeal.go_on()

    async def _another(self, number: int) -> Prepared | None:
        return await self._entry.another(number, self._let_in) if self._let_in else None

    async def _look_around(self) -> None:
        """Has the workers' addresses looked up where they have any, and anew when the registry names others."""
        async with asyncio.TaskGroup() as group:
            while True:
                looking = group.create_task(self._launcher.discover(self._spec, self._found))
                await self._amended.wait()
                self._amended.clear()
                looking.cancel()

    async def _stay_dressed(self) -> None:
        """What was ordered in between is one change."""
        while self._launcher.prepares and not self.engine.capabilities.hot_adapters:
            await asyncio.sleep(self._shared.pacing.attend_every)
            self._dress()

    def _dress(self) -> None:
        slots, fixed = self._spec.adapters.slots, not self.engine.capabilities.hot_adapters
        if slots and fixed and self._launcher.prepares and self.nap.phase is Phase.AWAKE:
            takes = self._shared.starts.expected(self._name)
            self._crew.wear(self._shared.lodge.outfit(self._name, slots, self._crew.trying, takes))

    def _tight(self, refused: NotAdmitted | None) -> bool:
        """Whether a worker that is replaced leaves first. Where it may not, nobody is started with what is new."""
        strategy = self._spec.strategy
        if refused is None or strategy == "replace":
            return strategy == "replace"
        if strategy != "surge" and refused.fits_without(self.claim):
            return True
        self._shared.lodge.deny(self._crew.outfit, str(refused))
        return False

    def _found(self, addresses: Sequence[str] | None, trouble: str = "") -> None:
        if addresses is not None:
            self._crew.want(addresses)
        self._amiss("addresses", trouble)
        if not self._was_ready:
            self._row.loading(Loading("looking for the workers", reason="" if self.size else trouble))
        if not self.size:
            self.ordeal.failed(trouble)

    def _hire(self, opening: Opening) -> Worker:
        shared = self._shared
        seat = Seat(
            self._name, opening.number, self._spec, self.engine, opening.prepared, self._generation,
            address=opening.address, starts=opening.starts, outfit=opening.outfit,
        )  # fmt: skip
        outlets = Outlets(
            show=lambda worker: self._show(seat, worker),
            loading=lambda loading: self._starting(seat, loading),
            served_as=self._row.served_as,
            started_in=lambda seconds: shared.starts.record(self.nap.starts_as, seconds),
            settled=lambda pid: shared.memory.settled(self.claim, seat.number, pid),
            announce=lambda lost: self._heard(lost, opening.outfit),
            asleep=self.nap.asleep,
        )
        expected = shared.starts.expected(self._name, opening.prepared.weighs if opening.prepared else 0)
        self.ordeal.expects(seat.number)
        return Worker(seat, self._launcher, shared.prober, shared.pacing, outlets, shared.clock, expected, shared.lodge)

    async def _see_off(self, number: int, worker: str) -> None:
        """Its requests end, or have their time."""
        self._row.leave(number)
        self.ordeal.excused(number)
        try:
            async with asyncio.timeout(self._shared.pacing.swap_drain):
                await self._shared.holds.until_free([worker])
        except TimeoutError:
            self._shared.announce(CutShort(self._name, self._shared.pacing.swap_drain))

    def _gone(self, number: int, worker: str) -> None:
        self._row.forget(number)
        self._shared.memory.leave(self.claim, number)
        self._shared.holds.forget([worker])

    def _amiss(self, about: str, trouble: str = "") -> None:
        self._troubles[about] = trouble
        self._row.trouble("; ".join(filter(None, self._troubles.values())))

    def _short(self, reason: str, failures: int) -> float:
        wait = self._shared.pacing.admit_again(failures)
        self._amiss("seats", f"not all of {self.size} workers are there: {reason}")
        if failures == 1:
            self._shared.announce(ModelFailed(self._name, reason, wait))
        return wait

    def _heard(self, lost: WorkerLost, outfit: frozenset[str]) -> None:
        self.ordeal.failed(lost.reason)
        self._shared.lodge.lost(outfit, lost.reason)
        self._shared.board.lost(self._name, lost.cause)
        self._shared.announce(lost)

    def _starting(self, seat: Seat, loading: Loading) -> None:
        if not self._was_ready and self.nap.phase is not Phase.RISING:
            self._row.loading(loading)
        self._shared.report(Progress(f"worker {seat.name}", loading.step, loading.fraction, loading.eta))

    def _show(self, seat: Seat, worker: WorkerView) -> None:
        self._row.worker(seat.number, worker)
        changed = self._crew.seen(seat.number, ready=worker.state is WorkerState.READY)
        self.nap.seen(worker.state)
        if worker.state is WorkerState.CRASH_LOOP and not self._was_ready:
            self._row.loading(None)  # it is held down: nothing is being loaded any more
        if worker.state in {WorkerState.STARTING, WorkerState.BACKOFF}:
            self._shared.memory.owe(self.claim, seat.number)
        if worker.state is WorkerState.CRASH_LOOP:
            self._shared.memory.spare(self.claim, seat.number)
        if worker.state is not WorkerState.READY or self.nap.dormant:
            return
        if changed:
            self._shared.report(Progress(f"worker {seat.name}", "ready", 1.0))
        if not self._was_ready:
            self._was_ready, self.ready_since = True, self._shared.clock.now()
            self._row.loading(None)
            self._shared.announce(ModelReady(self._name, self._shared.clock.now() - self._begun))
        self.ordeal.proved(seat.number)
