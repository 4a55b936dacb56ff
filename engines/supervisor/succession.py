"""One model's pools: the one that serves, the one that comes up beside it, those that leave. Run by `reconcile`.

A swap, step by step: the new pool is started where nobody sees it; once every worker of it has generated a real token
it is shown, by one assignment of the board, and the old one leaves: it gets no new request, its workers are stopped
when no gateway holds anything on them any more. A pool that does not come up is stopped, and the old one never knew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from engines.supervisor.board import Row
from engines.supervisor.events import CutShort, ModelFailed, RolledBack, Swapped, Swapping
from engines.supervisor.ordeal import Outcome
from engines.supervisor.pool import Pool, Shared
from registry.changes import same_workers
from registry.snapshot import Loading, Swap, SwapState
from registry.spec import ModelSpec


@dataclass(slots=True, eq=False)
class Running:
    """A pool, its row on the board, and the task that keeps it."""

    spec: ModelSpec
    row: Row
    pool: Pool
    task: asyncio.Task[None] = field(init=False)


Build = Callable[[ModelSpec], Running]
"""Makes a pool of a spec, with a row that nobody sees; its task is not started yet."""


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
        self._news: Final = asyncio.Event()
        self._serving: Running | None = None
        self._rising: Running | None = None
        self._running: Final[set[Running]] = set()
        self.refused: ModelSpec | None = None
        """What was tried last and did not come up."""

    def want(self, spec: ModelSpec | None) -> None:
        """The newest wish is the one that counts; None: the model is gone."""
        self._wanted = spec
        self._news.set()

    def suspect(self, worker_id: str) -> None:
        """Passed on to all pools."""
        for running in self._running:
            running.pool.suspect(worker_id)

    async def run(self) -> None:
        """Until the model is gone and its last worker is stopped, or until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                await self._news.wait()
                self._news.clear()
                if self._wanted is None:
                    break
                await self._pursue(self._wanted, group)
            if self._serving:
                self._shared.board.drop(self._serving.row)
                self._depart(self._serving, group)

    async def _pursue(self, spec: ModelSpec, group: asyncio.TaskGroup) -> None:
        """Until the model is as `spec` says, or has been rolled back, or there is a newer wish."""
        serving = self._serving
        if serving is None:
            self._serving = self._begin(spec, group)
            self._shared.board.show(self._serving.row)
        elif same_workers(serving.spec, spec):
            self._amend(serving, spec)
        else:
            await self._swap(serving, spec, group)

    def _amend(self, running: Running, spec: ModelSpec) -> None:
        running.spec = spec
        self._look(spec, running.row)

    async def _swap(self, serving: Running, spec: ModelSpec, group: asyncio.TaskGroup) -> None:
        begun = self._shared.clock.now()
        rising = self._rising = self._begin(spec, group)
        self._say(SwapState.STARTING, rising=rising.row)
        self._shared.announce(Swapping(self._name))
        try:
            outcome = await self._outcome(rising, group)
            if outcome is Outcome.UP:
                self._serving, self.refused = rising, None
                self._shared.board.show(rising.row)
                self._say(SwapState.DONE)
                self._depart(serving, group)
                self._shared.announce(Swapped(self._name, self._shared.clock.now() - begun))
            elif outcome is not None:
                self._roll_back(rising)
        finally:
            self._rising = None
            if self._serving is not rising:
                await self._stop(rising)

    def _roll_back(self, rising: Running) -> None:
        self.refused = rising.spec
        self._say(SwapState.ROLLED_BACK, rising.pool.ordeal.reason)
        self._shared.announce(RolledBack(self._name, rising.pool.ordeal.reason))

    async def _outcome(self, rising: Running, group: asyncio.TaskGroup) -> Outcome | None:
        """How `rising` does; None as soon as it is not what is wanted any more."""
        deciding = group.create_task(rising.pool.ordeal.outcome())
        try:
            while True:
                hearing = group.create_task(self._news.wait())
                await asyncio.wait({deciding, hearing}, return_when=asyncio.FIRST_COMPLETED)
                hearing.cancel()
                wanted = self._wanted
                if wanted is None or not same_workers(rising.spec, wanted):
                    return None
                self._amend(rising, wanted)
                if deciding.done():
                    return deciding.result()
                self._news.clear()
        finally:
            deciding.cancel()

    def _begin(self, spec: ModelSpec, group: asyncio.TaskGroup) -> Running:
        running = self._build(spec)
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
        workers = [worker.id for worker in leaving.row.view.workers]
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

    def _say(self, state: SwapState, reason: str = "", rising: Row | None = None) -> None:
        self._shared.board.swap(Swap(self._name, state, self._shared.clock.wall(), reason=reason), rising)
