"""A pool's workers come and go, one seat at a time: over workers that only say what they were told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import asynccontextmanager, suppress

from engines.ledger.outfit import Outfit
from engines.supervisor.crew import Crew, Desk, Opening
from engines.supervisor.memory import NotAdmitted
from tests.unit.gateway.builders import jumping

TURNS = 30
"""Of the event loop: enough for everything that can happen to have happened."""


class Worker:
    def __init__(self, opening: Opening) -> None:
        self.id = f"{opening.address}{opening.number}.{opening.starts + 1}"
        self.state = "hired"
        self.suspected = ""

    def suspect(self, worker_id: str) -> None:
        self.suspected = worker_id

    def leave(self) -> None:
        self.state = "leaving"

    def rest(self) -> None:
        self.state = "asleep"

    def rise(self) -> None:
        self.state = "running"

    async def run(self) -> None:
        self.state = "running"
        try:
            await asyncio.Event().wait()
        finally:
            self.state = "stopped"


class Office:
    """What a pool does for its crew; `room` is how many more are let in, `held` who is still needed."""

    def __init__(self) -> None:
        self.workers: list[Worker] = []
        self.room, self.held, self.gone, self.said = 100, asyncio.Event(), [], []
        self.held.set()
        self.strategy = "auto"
        turns = (lambda: self.tell("away"), lambda: self.tell("back"))
        desk = Desk(self.hire, self.admit, self.see_off, self.leave, self.short, self.complete, self.tight, *turns)
        self.crew = Crew(desk)

    def hire(self, opening: Opening) -> Worker:
        self.workers.append(Worker(opening))
        return self.workers[-1]

    async def admit(self, _number: int) -> None:
        if self.room <= 0:
            raise NotAdmitted("full")
        self.room -= 1

    async def see_off(self, _number: int, _worker: str) -> None:
        await self.held.wait()

    def leave(self, number: int, worker: str) -> None:
        self.gone.append((number, worker))

    def short(self, reason: str, failures: int) -> float:
        self.said.append(f"{reason} {failures}")
        return 10.0

    def tell(self, what: str) -> None:
        """And who was leaving already when it was told."""
        self.said.append(f"{what} {[worker.id for worker in self.workers if worker.state == 'leaving']}")

    def complete(self) -> None:
        self.said.append("complete")

    def tight(self, refused: NotAdmitted | None) -> bool:
        return self.strategy == ("replace" if refused is None else "auto")

    async def wear(self, *names: str) -> None:
        self.crew.wear(Outfit(frozenset(names)))
        await settled()

    async def want(self, addresses: Sequence[str]) -> None:
        self.crew.want(tuple(addresses))
        await settled()

    async def ready(self, *numbers: int) -> None:
        for number in numbers:
            self.crew.seen(number, ready=True)
        await settled()

    @property
    def states(self) -> dict[str, str]:
        return {worker.id: worker.state for worker in self.workers}


async def settled() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)


async def over(seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asyncio.Event().wait()


@asynccontextmanager
async def office(first: str = ""):
    async with asyncio.TaskGroup() as group:
        made = Office()
        made.crew.want(tuple(first))
        running = group.create_task(made.crew.run(tuple(first), None))
        await settled()
        yield made
        running.cancel()


async def test_who_is_missing_is_hired_and_nobody_else_notices() -> None:
    async with office("a") as made:
        await made.want("aaa")
        assert made.states == {"a0.1": "running", "a1.1": "running", "a2.1": "running"}
        assert (made.crew.wanted, made.room) == (3, 98)


async def test_who_goes_is_needed_by_nobody_before_it_is_stopped() -> None:
    async with office("aa") as made:
        made.held.clear()
        await made.ready(0, 1)
        await made.want("a")
        before = (made.states, made.crew.ready)
        made.held.set()
        await settled()
        assert before == ({"a0.1": "running", "a1.1": "leaving"}, 1)
        assert (made.states["a1.1"], made.gone) == ("stopped", [(1, "a1.1")])


async def test_a_seat_is_taken_again_once_it_is_free_and_names_never_come_back() -> None:
    """As long as its worker leaves, another seat is taken."""
    async with office("aa") as made:
        made.held.clear()
        await made.ready(0, 1)
        await made.want("a")
        await made.want("aa")
        made.held.set()
        await settled()
        await made.want("aaa")
        assert [worker.id for worker in made.workers] == ["a0.1", "a1.1", "a2.1", "a1.2"]


async def test_another_address_takes_over_when_it_is_ready() -> None:
    async with office("a") as made:
        await made.ready(0)
        await made.want("b")
        before = made.states
        await made.ready(1)
        assert (before, made.states) == (
            {"a0.1": "running", "b1.1": "running"},
            {"a0.1": "stopped", "b1.1": "running"},
        )


@jumping
async def test_who_is_not_let_in_is_tried_again_until_nobody_wants_it() -> None:
    async with office("a") as made:
        made.room = 1
        await made.want("aaaa")
        await over(15.0)
        assert (len(made.workers), made.said) == (2, ["full 1", "full 2"])
        await made.want("aa")
        assert made.said[-1] == "complete"
        made.room = 1
        await over(60.0)
        assert len(made.workers) == 2


async def test_another_outfit_replaces_one_by_one() -> None:
    """Who comes is ready before somebody goes, and only then the next one comes."""
    async with office("") as made:
        await made.want(("", ""))
        await made.ready(0, 1)
        await made.wear("x")
        first = made.states
        made.held.clear()
        await made.ready(2)
        assert made.states == {"0.1": "running", "1.1": "leaving", "2.1": "running"}
        made.held.set()
        await settled()
        second = made.states
        await made.ready(1)
        assert first == {"0.1": "running", "1.1": "running", "2.1": "running"}
        assert second == {"0.1": "running", "1.1": "stopped", "2.1": "running", "1.2": "running"}
        assert made.states == {"0.1": "stopped", "1.1": "stopped", "2.1": "running", "1.2": "running"}
        assert made.gone == [(1, "1.1"), (0, "0.1")]


async def test_where_there_is_no_room_for_one_more_one_goes_first() -> None:
    """And the next one comes once nothing of it is left."""
    async with office("") as made:
        await made.want(("", ""))
        await made.ready(0, 1)
        made.room, made.held = 0, asyncio.Event()
        await made.wear("x")
        before = made.states
        made.room = 1
        made.held.set()
        await settled()
        assert before == {"0.1": "running", "1.1": "leaving"}
        assert made.states == {"0.1": "running", "1.1": "stopped", "1.2": "running"}


async def test_that_the_last_one_leaves_to_be_replaced_is_told_before_it_does() -> None:
    """And that somebody serves again; where another one stays there is nothing to tell."""
    async with office("") as made:
        made.strategy = "replace"
        await made.want(("", ""))
        await made.ready(0, 1)
        await made.wear("x")
        beside = [each for each in made.said if each != "complete"]
        await made.ready(1)
        await made.want(("",))
        await made.wear("y")
        gap = [each for each in made.said if each != "complete"]
        await made.ready(0)
        assert (beside, gap) == ([], ["away []"])
        assert made.said[-1] == "back []", made.states


async def test_a_crew_that_leaves_hires_and_dismisses_nobody() -> None:
    async with office("aa") as made:
        await made.ready(0, 1)
        made.crew.leave()
        await made.want("aaa")
        await made.want("a")
        assert made.states == {"a0.1": "leaving", "a1.1": "leaving"}


async def test_all_are_stopped_when_it_ends() -> None:
    async with office("aa") as made:
        made.crew.suspect("a0.1")
    assert made.states == {"a0.1": "stopped", "a1.1": "stopped"}
    assert [worker.suspected for worker in made.workers] == ["a0.1", "a0.1"]


async def test_whether_a_worker_has_become_ready_is_told_once() -> None:
    """It is seen again whenever anything of it changes: its adapters, a probe that it missed."""
    async with office("a") as made:
        told = [made.crew.seen(number, ready=ready) for number in (0, 7) for ready in (True, True, False, True)]
    assert told == [True, False, True, True, *[False] * 4]


async def test_who_is_alone_and_ready_is_known() -> None:
    async with office("a") as made:
        before = made.crew.alone
        made.crew.seen(0, ready=True)
        assert (before, made.crew.alone) == (None, (0, made.workers[0]))
        made.crew.leave()
        assert made.crew.alone is None
