"""One model's pools: the one that serves, the one that comes up beside it, those that leave. Run by `reconcile`.

A swap, step by step: the new pool is started where nobody sees it; once every worker of it has generated a real token
it is shown, by one assignment of the board, and the old one leaves: it gets no new request, its workers are stopped
when no gateway holds anything on them any more. A pool that does not come up is stopped, and the old one never knew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Final, TypeVar

from engines.parity import Answer
from engines.supervisor.attendance import Present
from engines.supervisor.board import Row
from engines.supervisor.events import CutShort, ModelFailed, RolledBack, Swapped, Swapping
from engines.supervisor.ordeal import Outcome, Trial
from engines.supervisor.running import Build, Running
from engines.supervisor.shared import Shared
from registry.changes import same_workers
from registry.snapshot import Loading, Swap, SwapState
from registry.spec import ModelSpec

T = TypeVar("T")


class Succession:
    """Invariant: one pool serves from the first wish to the retirement, except while `replace` has stopped it; at most
    one comes up beside it, and it is that of the newest wish.
    """

    def __init__(self, name: str, shared: Shared, build: Build, look: Callable[[ModelSpec, Row], None]) -> None:
        self._name: Final = name
        self._shared: Final = shared
        self._build: Final = build
        self._look: Final = look
        """Brings a row's names and limits in line with a spec."""
        self._wanted: ModelSpec | None = None
        self._changed = False
        """Whether that has not been looked at yet."""
        self._idle = False
        """Whether the pool shall leave, because nobody needs it or others need its memory."""
        self._swapping = False
        self._news: Final = asyncio.Event()
        self._serving: Running | None = None
        self._shown: Running | None = None
        """What requests are told of: the one that serves, or the one that is to serve next."""
        self._running: Final[set[Running]] = set()
        self.refused: ModelSpec | None = None
        """What was tried last and did not come up."""

    def want(self, spec: ModelSpec | None) -> None:
        """The newest wish is the one that counts; None: the model is gone."""
        self._wanted, self._changed = spec, True
        self._news.set()

    @property
    def present(self) -> Present | None:
        """The pool that serves; None: there is none yet, or one is taking its place."""
        serving = self._serving
        if serving is None or self._swapping:
            return None
        pool, nap = serving.pool, serving.pool.nap
        return Present(
            serving.spec, pool.claim, nap.since or serving.since, pool.dormant, pool.admitted, pool.ready_since,
            pool.size, pool.ready, pool.capacity, nap.settling, nap.spent,
        )  # fmt: skip

    def load(self) -> None:
        """Has a dormant pool come up."""
        if self._serving is not None:
            self._serving.pool.wake()

    def unload(self) -> None:
        """Has the pool sleep, or leave, and a dormant one take its place; not while its successor comes up."""
        self._idle = True
        self._news.set()

    def scale(self, size: int) -> None:
        """Has the pool that serves go on with so many workers."""
        if self._serving is not None:
            self._serving.pool.scale(size)

    def suspect(self, worker_id: str) -> None:
        """Passed on to all pools."""
        for running in self._running:
            running.pool.suspect(worker_id)

    async def run(self) -> None:
        """Until the model is gone and its last worker is stopped, or until cancelled."""
        with self._shared.attendance.entered(self._name, self):
            await self._run()

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                await self._news.wait()
                self._news.clear()
                if self._wanted is None:
                    break
                if self._changed:
                    self._changed = self._idle = False
                    await self._pursue(self._wanted, group)
                if self._idle:
                    self._idle = False
                    self._lay_down(group)
            if self._shown:
                self._shared.board.drop(self._shown.row)
                self._depart(self._shown, group)

    async def _pursue(self, spec: ModelSpec, group: asyncio.TaskGroup) -> None:
        """Until the model is as `spec` says, or has been rolled back, or there is a newer wish."""
        serving = self._serving
        if serving is None:
            self._serve(self._begin(spec, group))
        elif same_workers(serving.spec, spec):
            self._amend(serving, spec)
        elif serving.pool.dormant:
            self._supersede(serving, spec, group)
        else:
            await self._swap(serving, spec, group)

    def _lay_down(self, group: asyncio.TaskGroup) -> None:
        serving = self._serving
        if serving is None or not serving.pool.loaded or serving.spec.least or serving.pool.doze():
            return
        self._supersede(serving, serving.spec, group)
        if serving.pool.nap.spent and serving.pool.nap.called:  # its worker was wanted and could not be woken
            self.load()

    def _supersede(self, serving: Running, spec: ModelSpec, group: asyncio.TaskGroup) -> None:
        """By a pool that need not come up first: nobody loses anything."""
        self._serve(self._begin(spec, group))
        self._depart(serving, group)

    def _amend(self, running: Running, spec: ModelSpec) -> None:
        if running.spec.least and not spec.least:  # gateways have not counted its requests so far
            running.since = self._shared.clock.now()
        running.spec = spec
        running.pool.amend(spec)
        self._look(spec, running.row)

    def _serve(self, running: Running) -> None:
        """What the model's name means from now on; what it meant before was stopped, or is to leave."""
        self._serving = running
        self._show(running)

    def _show(self, running: Running) -> None:
        before, self._shown = self._shown, running
        self._shared.board.show(running.row)
        if before is not None and before is not running and before not in self._running:
            self._shared.board.forget(before.row)

    async def _swap(self, serving: Running, spec: ModelSpec, group: asyncio.TaskGroup) -> None:
        begun = self._shared.clock.now()
        rising = self._begin(spec, group, serving)
        rising.pool.resize(serving.pool.size)
        rising.pool.wake()
        self._swapping = True
        self._say(SwapState.STARTING, rising=rising.row)
        self._shared.announce(Swapping(self._name))
        trial = Trial()
        try:
            await self._try(serving, rising, group, trial)
        finally:
            self._swapping = False
            if trial.outcome is not Outcome.UP:
                await self._stop(rising)
        if trial.outcome is Outcome.UP:
            self._succeed(serving, rising, trial, group)
            self._shared.announce(Swapped(self._name, self._shared.clock.now() - begun, trial.parity))
        elif trial.outcome is not None:
            self._roll_back(serving, rising, trial, group)
        else:
            self._shared.board.unswap(self._name)

    async def _try(self, serving: Running, rising: Running, group: asyncio.TaskGroup, trial: Trial) -> None:
        """Fills in `trial` as far as it comes before it is overtaken; its outcome last."""
        outcome = await self._unless_overtaken(rising, rising.pool.ordeal.outcome(), group)
        if outcome not in {Outcome.UP, Outcome.NO_ROOM}:
            trial.outcome = outcome
            return
        before = await self._unless_overtaken(rising, self._answers(serving), group)
        if outcome is Outcome.NO_ROOM and before is not None:
            outcome = await self._replace(serving, rising, group)
        if outcome is Outcome.UP and before is not None:
            after = await self._unless_overtaken(rising, self._answers(rising), group)
            outcome = None if after is None else self._compared(rising, before, after, trial)
        trial.outcome = outcome if before is not None else None

    async def _answers(self, running: Running) -> Mapping[str, Answer]:
        return await self._shared.parity.answers(running.pool.engine, running.row.view)

    def _compared(
        self, rising: Running, before: Mapping[str, Answer], after: Mapping[str, Answer], trial: Trial
    ) -> Outcome:
        report = self._shared.parity.report(self._name, before, after)
        trial.parity, least = str(report), rising.spec.parity.min_agreement
        if report.agreement is None or report.agreement >= least:
            return Outcome.UP
        trial.reason = f"parity: min_agreement is {least:g}"
        return Outcome.FAILED

    async def _replace(self, serving: Running, rising: Running, group: asyncio.TaskGroup) -> Outcome | None:
        """Both do not fit: the old pool ends what it has and goes, then the new one starts. New requests get 503."""
        self._serving = None
        self._say(SwapState.DRAINING, rising=rising.row)
        self._show(rising)
        self._depart(serving, group)
        if await self._unless_overtaken(rising, _end(serving.task), group) is None:
            return None
        rising.pool.go_alone()
        return await self._unless_overtaken(rising, rising.pool.ordeal.outcome(), group)

    def _succeed(self, serving: Running, rising: Running, trial: Trial, group: asyncio.TaskGroup) -> None:
        beside, self.refused = self._serving is serving, None
        rising.since = self._shared.clock.now()
        self._serve(rising)
        self._say(SwapState.DONE, parity=trial.parity)
        if beside:
            self._depart(serving, group)

    def _roll_back(self, serving: Running, rising: Running, trial: Trial, group: asyncio.TaskGroup) -> None:
        self.refused, reason = rising.spec, trial.reason or rising.pool.ordeal.reason
        if self._serving is None:
            self._serve(self._begin(serving.spec, group))
        self._say(SwapState.ROLLED_BACK, reason, parity=trial.parity)
        self._shared.announce(RolledBack(self._name, f"{reason}: {trial.parity}" if trial.parity else reason))

    async def _unless_overtaken(
        self, rising: Running, work: Coroutine[None, None, T], group: asyncio.TaskGroup
    ) -> T | None:
        """What `work` gives; None as soon as `rising` is not what is wanted any more."""
        working = group.create_task(work)
        try:
            while True:
                hearing = group.create_task(self._news.wait())
                await asyncio.wait({working, hearing}, return_when=asyncio.FIRST_COMPLETED)
                hearing.cancel()
                wanted = self._wanted
                if wanted is None or not same_workers(rising.spec, wanted):
                    return None
                self._amend(rising, wanted)
                if working.done():
                    return working.result()
                self._news.clear()
                self._changed = False
        finally:
            working.cancel()

    def _begin(self, spec: ModelSpec, group: asyncio.TaskGroup, after: Running | None = None) -> Running:
        running = self._build(spec, after.pool.claim if after else None)
        running.task = group.create_task(self._keep(running))
        self._running.add(running)
        return running

    async def _keep(self, running: Running) -> None:
        """A bug that ends a pool ends nobody else's."""
        try:
            await running.pool.run()
        except Exception as bug:  # noqa: BLE001 (the outermost loop of one pool)
            running.row.loading(Loading("stopped by a bug of ours", reason=repr(bug)))
            self._shared.announce(ModelFailed(self._name, f"stopped by a bug of ours: {bug!r}", None))
            running.pool.ordeal.hopeless(f"stopped by a bug of ours: {bug!r}")

    def _depart(self, leaving: Running, group: asyncio.TaskGroup) -> None:
        leaving.pool.leave()
        group.create_task(self._see_off(leaving))

    async def _see_off(self, leaving: Running) -> None:
        """Until its requests have ended, or have had their time; then it is stopped."""
        shared, drain = self._shared, self._shared.pacing.swap_drain
        workers = [worker.id for worker in (*leaving.row.view.workers, *leaving.row.leaving)]
        try:
            async with asyncio.timeout(drain):
                await shared.holds.until_free(workers)
        except TimeoutError:
            shared.announce(CutShort(self._name, drain))
        await self._stop(leaving)
        shared.board.forget(leaving.row)
        shared.holds.forget(workers)

    async def _stop(self, running: Running) -> None:
        running.task.cancel()
        await asyncio.wait({running.task})
        self._running.discard(running)

    def _say(self, state: SwapState, reason: str = "", *, parity: str = "", rising: Row | None = None) -> None:
        swap = Swap(self._name, state, self._shared.clock.wall(), reason=reason, parity=parity)
        self._shared.board.swap(swap, rising)


async def _end(task: asyncio.Task[None]) -> bool:
    await asyncio.wait({task})
    return True
