"""How a pool's workers are let in: all that are wanted, or as many as there must be, and one more later."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from engines.launchers.launcher import Prepared
from engines.supervisor.board import Row
from engines.supervisor.entry import Entry, LetIn, Wanting
from engines.supervisor.memory import NotAdmitted
from engines.supervisor.ordeal import Ordeal
from engines.supervisor.pacing import Pacing
from registry.replicas import ReplicasSpec
from registry.snapshot import ModelView
from registry.spec import ModelSpec

PREPARED = Prepared(Path("/python"), Path("/weights"), "none")
RANGE = ModelSpec(source="./w", engine="vllm", replicas=ReplicasSpec(min=1, max=4))


@dataclass
class World:
    """Memory that has room for so many workers; nobody makes more. Is what an entry needs of what pools share."""

    room: int
    let: list[list[int]] = field(default_factory=list)
    yielding: list[bool] = field(default_factory=list)

    async def prepare(self, _name, _spec, _report):
        return PREPARED

    async def admit(self, _claim, _spec, _engine, prepared, _model, seats):
        if len(seats) > self.room:
            raise NotAdmitted("full", missing=1)
        self.room -= len(seats)
        self.let.append(list(seats))
        return prepared

    async def take(self, admit, _waiting=None, *, yielding=True):
        self.yielding.append(yielding)
        return await admit()

    def entry(self, spec, size, *, here=True):
        row, ordeal = Row(ModelView("m", "vllm", "m"), lambda _: None), Ordeal(0, tries=1)
        shared = SimpleNamespace(memory=self, attendance=self, prepare=self.prepare, pacing=Pacing())
        wanting = Wanting(spec, size)
        return Entry("m", "m#1", None, shared, row, ordeal, lambda: wanting, here=here, after=None)


@pytest.mark.parametrize(("room", "count"), [(9, 3), (3, 3), (2, 1), (1, 1)])
async def test_where_not_all_fit_as_many_come_as_there_must_be(room, count):
    """The others follow one by one, each when there is room."""
    world = World(room)
    assert await world.entry(RANGE, 3).first() == LetIn(PREPARED, count)
    assert world.let == [list(range(count))]


@pytest.mark.parametrize(("size", "yielding"), [(2, False), (1, True)])
async def test_others_leave_for_what_must_be_there_and_not_for_what_comes_with_the_requests(size, yielding):
    world = World(9)
    assert await world.entry(RANGE, size).another(5, PREPARED) == PREPARED
    assert (world.let, world.yielding) == ([[5]], [yielding])


async def test_one_more_that_does_not_fit_is_refused():
    with pytest.raises(NotAdmitted, match="full"):
        await World(0).entry(RANGE, 2).another(1, PREPARED)


async def test_workers_elsewhere_need_no_memory_of_this_machine():
    """Those on Ray."""
    world = World(0)
    entry = world.entry(RANGE, 4, here=False)
    assert (await entry.first(), await entry.another(4, PREPARED), world.let) == (LetIn(PREPARED, 4), PREPARED, [])
