"""How a worker is let go, put to sleep and woken: over a worker that only notes what it is told."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace

from engines.holds import Holds
from engines.supervisor.board import Board
from engines.supervisor.memory import NotAdmitted
from engines.supervisor.nap import Nap, Phase
from engines.supervisor.outlets import Clock
from engines.supervisor.pacing import Pacing
from registry.snapshot import ModelView, OnDemand, WorkerState, WorkerView
from tests.unit.gateway.builders import cancelled, jumping, turns

READY, SLEEPING, STARTING = WorkerState.READY, WorkerState.SLEEPING, WorkerState.STARTING


class Bed:
    """A ready worker, its row that is shown, a gateway that may hold something there, and memory that may be taken."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.naps, self.full = 0, False
        self.holds, self.board = Holds(), Board(lambda _: None)
        self.holds.joined("gateway")
        self.row = self.board.row(ModelView("m", "vllm", "m", on_demand=OnDemand(600.0, 60.0)))
        self.board.show(self.row)
        loop = asyncio.get_running_loop()
        shared = SimpleNamespace(
            clock=Clock(loop.time, loop.time), holds=self.holds, pacing=Pacing(), starts=self, memory=self,
            attendance=self,
        )  # fmt: skip
        self.nap = Nap("m", "m#1", self.row, shared)
        self.show(READY)

    @property
    def id(self) -> str:
        return f"m-0.{self.naps}"

    def show(self, state: WorkerState) -> None:
        self.row.worker(0, WorkerView(self.id, "u", state))
        self.nap.seen(state)

    def rest(self) -> None:
        self.told.append("rest")
        self.naps += 1
        self.show(SLEEPING)

    def rise(self) -> None:
        self.told.append("rise")
        self.show(STARTING)

    def expected(self, name: str) -> float:
        return 3.0 if name == "m asleep" else 60.0

    def doze(self, claim: str) -> None:
        self.told.append(f"gives back {claim}")

    async def rouse(self, claim: str) -> None:
        if self.full:
            raise NotAdmitted("full")
        self.told.append(f"takes {claim}")

    async def take(self, admit, _waiting) -> None:
        await admit()

    @property
    def shown(self) -> list[str]:
        return [worker.id for model in self.board.snapshot.models for worker in model.workers]

    @property
    def leaving(self) -> list[str]:
        return [worker.id for worker in self.board.snapshot.leaving]


@asynccontextmanager
async def bed(*, free: bool = True):
    made = Bed()
    running = asyncio.get_running_loop().create_task(made.nap.run())
    made.nap.begin(0, made)
    await turns()
    if free:
        made.holds.freed("gateway", "m-0.0")
        await turns()
    yield made
    await cancelled(running)


@jumping
async def test_it_sleeps_only_when_no_gateway_holds_anything_there():
    """Until then it leaves, as for a stop; what sleeps is shown under another id, and was never said to leave."""
    async with bed(free=False) as made:
        before = (list(made.told), made.shown, made.leaving, made.nap.settling)
        made.holds.freed("gateway", "m-0.0")
        await turns()
        assert before == ([], [], ["m-0.0"], True)
        assert (made.told, made.shown, made.leaving) == (["rest"], ["m-0.1"], [])
        assert (made.nap.phase, made.row.view.on_demand.loads_in) == (Phase.ASLEEP, 3.0)


@jumping
async def test_it_wakes_once_somebody_asks_and_it_has_its_memory_again():
    """However early it is called: what it gives back, it has to have given back first."""
    async with bed() as made:
        made.nap.call()
        await turns()
        early = list(made.told)
        made.nap.asleep()
        await turns()
        assert (early, made.told) == (["rest"], ["rest", "gives back m#1", "takes m#1", "rise"])
        assert (made.row.view.loading.step, made.nap.starts_as) == ("waking the worker", "m asleep")
        made.show(READY)
        await turns()
        assert (made.nap.phase, made.nap.called, made.nap.starts_as) == (Phase.AWAKE, False, "m")


@jumping
async def test_it_is_spent_where_its_process_ends_or_its_memory_is_gone():
    """The pool is laid down then, and whoever called it is not forgotten."""
    async with bed() as dies:
        dies.show(WorkerState.STOPPED)
        await turns()
        assert (dies.nap.phase, dies.nap.called) == (Phase.SPENT, False)
    async with bed() as crowded:
        crowded.full = True
        crowded.nap.asleep()
        crowded.nap.call()
        await turns()
        assert (crowded.nap.phase, crowded.nap.called, crowded.nap.waiting) == (Phase.SPENT, True, False)


@jumping
async def test_whom_requests_do_not_let_go_does_not_sleep():
    """Nor one that failed meanwhile, nor one in whose place another pool has come."""
    async with bed(free=False) as held:
        with suppress(TimeoutError):
            async with asyncio.timeout(Pacing().swap_drain + 1):
                await asyncio.Event().wait()
        assert (held.nap.phase, held.told) == (Phase.SPENT, [])
    async with bed(free=False) as failed, bed(free=False) as left:
        failed.show(WorkerState.UNHEALTHY)
        left.nap.leave()
        for each in (failed, left):
            each.holds.freed("gateway", "m-0.0")
            await turns()
            assert (each.nap.phase, each.told) == (Phase.SPENT, [])


@jumping
async def test_one_that_does_not_wake_is_started_as_any_other():
    """Its worker sees to that; its next start is no waking."""
    async with bed() as made:
        made.nap.asleep()
        made.nap.call()
        await turns()
        made.show(WorkerState.BACKOFF)
        await turns()
        assert (made.nap.phase, made.nap.starts_as) == (Phase.AWAKE, "m")
