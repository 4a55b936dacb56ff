"""One model's pools over scripted ones: which serves, which comes up, which leaves, and in what order."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace

import msgspec

from engines.holds import Holds
from engines.parity import Answer, Report, compare
from engines.supervisor.attendance import Attendance
from engines.supervisor.board import Board
from engines.supervisor.ordeal import Ordeal
from engines.supervisor.outlets import Clock
from engines.supervisor.pacing import Pacing
from engines.supervisor.running import Running
from engines.supervisor.succession import Succession
from registry.replicas import ReplicasSpec
from registry.snapshot import ModelView, WorkerState, WorkerView
from registry.spec import ModelSpec, ParitySpec
from tests.waiting import eventually

COLD = ModelSpec(source="pypi://a@1/b", engine="vllm", replicas=ReplicasSpec())
A, B, C = (ModelSpec(source=f"pypi://{name}@1/b", engine="vllm") for name in "abc")
TURNS = 50
"""Of the event loop: enough for everything that can happen to have happened."""


class ScriptedPool:
    """A pool without workers; the test says how its ordeal goes."""

    admitted, ready_since, size, ready, capacity = True, 0.0, 1, 1, 8
    sleeps = False

    def __init__(self, number: int, after: str | None, *, dormant: bool = False) -> None:
        self.dormant = dormant
        self.claim, self.after = f"m#{number}", after
        self.nap = SimpleNamespace(since=None, settling=False, spent=False, called=False)
        self.ordeal = Ordeal(1, tries=1)
        self.state = "waiting"
        self.engine = None

    async def run(self) -> None:
        self.state = "running"
        try:
            await asyncio.Event().wait()
        finally:
            self.state = "stopped"

    @property
    def loaded(self) -> bool:
        return not self.dormant or self.state == "asleep"

    def doze(self) -> bool:
        if self.sleeps and self.state == "running":
            self.state, self.dormant, self.nap.since = "asleep", True, 5.0
            return True
        return False

    def wake(self) -> None:
        self.dormant = False

    def leave(self) -> None:
        self.state = "leaving"

    def resize(self, count: int) -> None:
        self.size = count

    scale = resize

    def amend(self, spec: ModelSpec) -> None:
        self.resize(spec.within(self.size))
        self.dormant = self.dormant and not spec.least

    def go_alone(self) -> None:
        self.state = "alone"
        self.ordeal.go_on()


class Stage:
    """A succession, its board, and its pools in the order in which they were made."""

    def __init__(self) -> None:
        self.pools: list[ScriptedPool] = []
        self.said: list[str] = []
        self.now = 0.0
        self.board = Board(lambda _: None)
        self.holds = Holds()
        self.attendance = Attendance(lambda: 0.0, None, None, Pacing())
        shared = SimpleNamespace(
            attendance=self.attendance,
            parity=self,
            board=self.board,
            holds=self.holds,
            pacing=Pacing(),
            clock=Clock(lambda: self.now, lambda: 0.0),
            announce=self.hear,
        )
        self.succession = Succession("m", shared, self.build, self.look)

    async def answers(self, _engine, model: ModelView) -> dict[str, Answer]:
        return {"q": Answer(("same", model.workers[0].id), "stop")}

    def report(self, _model: str, before: dict, after: dict) -> Report:
        return compare(before, after)

    def hear(self, event: object) -> None:
        self.said.append(type(event).__name__)

    def build(self, spec: ModelSpec, after: str | None) -> Running:
        pool = ScriptedPool(len(self.pools) + 1, after, dormant=not spec.least)
        self.pools.append(pool)
        worker = WorkerView(pool.claim, "u", WorkerState.READY)
        row = self.board.row(ModelView("m", "vllm", "m", workers=(worker,), aliases=tuple(spec.aliases)))
        return Running(spec, row, pool, since=0.0)

    def look(self, spec: ModelSpec, row) -> None:
        row.put(msgspec.structs.replace(row.view, aliases=tuple(spec.aliases)))

    async def want(self, spec: ModelSpec | None) -> None:
        self.succession.want(spec)
        await self.settled()

    async def settled(self) -> None:
        for _ in range(TURNS):
            await asyncio.sleep(0)

    @property
    def states(self) -> list[str]:
        return [pool.state for pool in self.pools]

    @property
    def shown(self) -> list[str]:
        return [worker.id for model in self.board.snapshot.models for worker in model.workers]

    @property
    def leaving(self) -> list[str]:
        return [worker.id for worker in self.board.snapshot.leaving]

    @property
    def swap(self) -> tuple[str, str]:
        (swap,) = self.board.snapshot.swaps
        return swap.state.value, swap.reason


@asynccontextmanager
async def stage(*wishes: ModelSpec):
    async with asyncio.TaskGroup() as group:
        made = Stage()
        running = group.create_task(made.succession.run())
        for wish in wishes:
            await made.want(wish)
        yield made
        running.cancel()


async def test_the_first_pool_is_shown_before_it_is_up() -> None:
    """Requests learn from it how long to wait."""
    async with stage(A) as made:
        assert (made.states, made.shown) == (["running"], ["m#1"])


async def test_a_second_pool_is_shown_when_it_is_up_and_the_first_one_goes() -> None:
    async with stage(A, B) as made:
        before = (made.states, made.shown, made.swap)
        made.pools[1].ordeal.proved(0)
        await made.settled()
        assert before == (["running", "running"], ["m#1"], ("starting", ""))
        assert (made.states, made.shown, made.leaving, made.swap) == (["stopped", "running"], ["m#2"], [], ("done", ""))
    assert made.said == ["Swapping", "Swapped"]


async def test_the_old_pool_is_stopped_when_no_gateway_holds_it() -> None:
    async with stage(A, B) as made:
        made.holds.joined("gateway")
        made.pools[1].ordeal.proved(0)
        await made.settled()
        before = (made.states, made.leaving)
        made.holds.freed("gateway", "m#1")
        await made.settled()
        assert (before, made.states, made.leaving) == ((["leaving", "running"], ["m#1"]), ["stopped", "running"], [])


async def test_a_pool_that_does_not_come_up_is_stopped_and_the_old_one_never_knew() -> None:
    async with stage(A, B) as made:
        made.pools[1].ordeal.failed("it crashed")
        await made.settled()
        assert (made.states, made.shown, made.swap) == (["running", "stopped"], ["m#1"], ("rolled_back", "it crashed"))
        assert made.succession.refused == B
    assert made.said == ["Swapping", "RolledBack"]


async def test_the_newest_wish_stops_what_came_up_for_an_older_one() -> None:
    async with stage(A, B, C) as made:
        assert (made.states, made.shown) == (["running", "stopped", "running"], ["m#1"])
        made.pools[2].ordeal.proved(0)
        await made.settled()
        assert made.shown == ["m#3"]


async def test_an_edit_that_is_taken_back_stops_the_new_pool() -> None:
    async with stage(A, B, A) as made:
        assert (made.states, made.shown) == (["running", "stopped"], ["m#1"])


async def test_a_swap_that_is_taken_back_is_no_swap_any_more() -> None:
    """Or `status` and the metric would say for ever that it is under way."""
    async with stage(A, B) as made:
        before = made.swap
        await made.want(A)
        assert (before, made.board.snapshot.swaps) == (("starting", ""), ())


async def test_a_model_that_becomes_one_on_demand_has_not_been_idle() -> None:
    """Nobody counted its requests before: it must not be unloaded because of an edit that touches no worker."""
    async with stage(A) as made:
        made.now = 1000.0
        await made.want(A.model_copy(update={"replicas": ReplicasSpec()}))
        assert (made.states, made.succession.present.since) == (["running"], 1000.0)
        made.now = 2000.0
        await made.want(A.model_copy(update={"replicas": ReplicasSpec(idle_after=60.0)}))
        assert made.succession.present.since == 1000.0


async def test_what_comes_up_in_a_swap_is_idle_from_its_first_request_on() -> None:
    """It may have been ready for long, while it was compared."""
    async with stage(A, B) as made:
        made.now = 1000.0
        made.pools[1].ordeal.proved(0)
        await made.settled()
        assert made.succession.present.since == 1000.0


async def test_names_can_change_while_a_pool_comes_up() -> None:
    """The pool goes on; the name is there when it is."""
    async with stage(A, B, B.model_copy(update={"aliases": ("x",)})) as made:
        made.pools[1].ordeal.proved(0)
        await made.settled()
        assert (made.states, made.board.snapshot.models[0].aliases) == (["stopped", "running"], ("x",))


async def test_without_room_for_both_the_old_one_goes_first() -> None:
    async with stage(A, B) as made:
        made.holds.joined("gateway")
        made.pools[1].ordeal.no_room("it needs 4 GiB")
        await made.settled()
        waiting = (made.states, made.shown, made.leaving, made.swap)
        made.holds.freed("gateway", "m#1")
        await made.settled()
        assert waiting == (["leaving", "running"], ["m#2"], ["m#1"], ("draining", ""))
        assert (made.states, made.pools[1].after) == (["stopped", "alone"], "m#1")
        made.pools[1].ordeal.proved(0)
        await made.settled()
        assert (made.shown, made.swap) == (["m#2"], ("done", ""))


async def test_a_replacement_that_fails_brings_the_old_pool_back() -> None:
    async with stage(A, B) as made:
        made.pools[1].ordeal.no_room("it needs 4 GiB")
        await made.settled()
        made.pools[1].ordeal.failed("it crashed")
        await made.settled()
        assert (made.states, made.shown) == (["stopped", "stopped", "running"], ["m#3"])
        assert (made.swap, made.leaving) == (("rolled_back", "it crashed"), [])


async def test_a_newer_wish_during_a_replacement_starts_at_once() -> None:
    async with stage(A, B) as made:
        made.pools[1].ordeal.no_room("it needs 4 GiB")
        await made.settled()
        await made.want(C)
        assert (made.states, made.shown, made.leaving) == (["stopped", "stopped", "running"], ["m#3"], [])


async def test_a_retired_model_ends_with_its_last_request() -> None:
    async with stage(A) as made:
        made.holds.joined("gateway")
        await made.want(None)
        before = (made.shown, made.leaving, made.states)
        made.holds.freed("gateway", "m#1")
        await made.settled()
        assert (before, made.states, made.leaving) == (([], ["m#1"], ["leaving"]), ["stopped"], [])


async def test_a_model_can_be_retired_while_it_is_swapped() -> None:
    async with stage(A, B, None) as made:
        await eventually(lambda: made.states == ["stopped", "stopped"])
        assert (made.shown, made.leaving) == ([], [])


async def test_a_model_on_demand_that_is_unloaded_gets_a_dormant_pool():
    """The loaded one leaves as in a swap: its requests end first."""
    async with stage(COLD) as made:
        made.succession.load()
        assert not made.succession.present.dormant
        made.succession.unload()
        await made.settled()
        assert (made.shown, made.succession.present.claim) == (["m#2"], "m#2")
        assert (made.succession.present.dormant, made.states) == (True, ["stopped", "running"])


async def test_a_pool_that_can_sleep_stays_until_others_need_what_it_holds():
    """Idle, it sleeps; asked to leave in its sleep, it goes, and one that was called in vain is followed by a load."""
    async with stage(COLD) as made:
        made.succession.load()
        made.pools[0].sleeps = True
        made.succession.unload()
        await made.settled()
        present = made.succession.present
        assert (made.shown, present.dormant, present.since) == (["m#1"], True, 5.0)
        made.pools[0].nap.spent = made.pools[0].nap.called = True
        made.succession.unload()
        await made.settled()
        assert (made.shown, made.states, made.pools[1].dormant) == (["m#2"], ["stopped", "running"], False)


async def test_a_dormant_pool_is_superseded_at_once():
    """Nobody is served by it, so nothing need come up first; and what always runs is never unloaded."""
    async with stage(COLD, B) as made:
        assert (made.shown, made.states, made.board.snapshot.swaps) == (["m#2"], ["stopped", "running"], ())
        made.succession.unload()
        await made.settled()
        assert made.shown == ["m#2"]


async def test_another_number_of_workers_is_no_swap() -> None:
    """The pool grows and shrinks as it is, and a dormant one is woken if some worker is to run always."""
    async with stage(A, A.model_copy(update={"replicas": 3})) as made:
        assert (made.states, made.pools[0].size, made.board.snapshot.swaps) == (["running"], 3, ())
    async with stage(COLD, COLD.model_copy(update={"replicas": 2})) as made:
        assert (made.states, made.pools[0].size, made.pools[0].dormant) == (["running"], 2, False)


async def test_a_pool_that_has_grown_is_followed_by_one_of_its_size() -> None:
    async with stage(A.model_copy(update={"replicas": ReplicasSpec(min=1, max=4)})) as made:
        made.succession.scale(3)
        await made.want(B)
        assert made.pools[1].size == 3


async def test_a_new_pool_that_answers_otherwise_is_rolled_back_where_that_is_asked_for() -> None:
    """Both answered with two words of which the first was the same."""
    strict = B.model_copy(update={"parity": ParitySpec(min_agreement=0.6)})
    async with stage(A, strict) as made:
        made.pools[1].ordeal.proved(0)
        await made.settled()
        assert (made.states, made.shown) == (["running", "stopped"], ["m#1"])
        (swap,) = made.board.snapshot.swaps
    assert (swap.state, swap.reason) == ("rolled_back", "parity: min_agreement is 0.6")
    assert swap.parity.startswith("token agreement 0.50")
