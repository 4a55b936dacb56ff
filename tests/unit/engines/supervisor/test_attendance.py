"""Loads what is asked for, unloads what is idle, has room made: on models that only say what they were told."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import replace

import pytest

from engines.supervisor.attendance import Attendance, Present
from engines.supervisor.memory import NotAdmitted
from engines.supervisor.pacing import Pacing
from registry.orders import Use
from registry.replicas import ReplicasSpec
from registry.spec import ModelSpec
from tests.unit.gateway.builders import cancelled, jumping

SPEC = ModelSpec(engine="vllm", source="./w", replicas=ReplicasSpec(idle_after=100.0))


class Model:
    """A succession without pools."""

    def __init__(self, name, *, loaded=False, spec=SPEC):
        ready = 0.0 if loaded else None
        self.present = Present(spec, f"{name}#1", 0.0, dormant=not loaded, admitted=loaded, ready_since=ready)
        self.told = []

    def load(self):
        self.told.append("load")
        self.present = replace(self.present, dormant=False)

    def scale(self, size):
        self.told.append(size)
        self.present = replace(self.present, size=size, ready=size)

    def unload(self):
        self.told.append("unload")
        self.present = replace(self.present, claim="another", dormant=True, admitted=False, ready_since=None)


class World:
    """Memory that holds ten bytes a claim, and starts that take ten seconds."""

    def __init__(self, **models):
        self.loop = asyncio.get_running_loop()
        self.models = models
        self.attendance = Attendance(self.loop.time, self, self, Pacing(attend_every=2.0))
        self.entered = ExitStack()
        for name, model in models.items():
            self.entered.enter_context(self.attendance.entered(name, model))

    def holds(self, _claim):
        return 10

    def expected(self, _name):
        return 10.0

    async def over(self, seconds):
        """Attends for so long."""
        running = self.loop.create_task(self.attendance.run())
        await asyncio.wait({running}, timeout=seconds)
        await cancelled(running)


def admitting(*missing):
    """An `admit` that is refused once for each of these, and then succeeds."""
    refusals = list(missing)

    async def admit():
        if refusals:
            raise NotAdmitted("full", missing=refusals.pop(0))
        return "admitted"

    return admit


@jumping
async def test_what_is_asked_for_is_loaded_once():
    world = World(m=Model("m"), other=Model("other"))
    world.attendance.report("g", {"m": Use(waiting=1, asked=True), "other": Use()})
    await world.over(5.0)
    assert (world.models["m"].told, world.models["other"].told) == (["load"], [])


@jumping
async def test_what_is_idle_is_unloaded():
    world = World(idle=Model("idle", loaded=True), always=Model("always", loaded=True, spec=replace_replicas(1)))
    await world.over(97.0)
    assert world.models["idle"].told == []
    await world.over(7.0)
    assert (world.models["idle"].told, world.models["always"].told) == (["unload"], [])


def replace_replicas(count):
    return SPEC.model_copy(update={"replicas": count})


@jumping
async def test_what_is_used_stays():
    world = World(m=Model("m", loaded=True))
    world.attendance.report("g", {"m": Use(active=1)})
    await world.over(300.0)
    assert world.models["m"].told == []


@jumping
async def test_a_model_grows_with_its_requests_and_shrinks_without_them():
    """No further than its range, and down by as many as nobody needed for long."""
    spec = replace_replicas(ReplicasSpec(min=0, max=3, target=2, idle_after=100.0))
    world = World(m=Model("m", loaded=True, spec=spec))
    world.models["m"].present = replace(world.models["m"].present, ready=1, capacity=8)
    world.attendance.report("g", {"m": Use(active=5, waiting=15)})
    await world.over(20.0)
    assert world.models["m"].told == [3]
    world.attendance.report("g", {"m": Use(active=1)})
    await world.over(90.0)
    assert world.models["m"].told == [3]
    await world.over(160.0)
    assert world.models["m"].told == [3, 2, 1]


@jumping
async def test_without_a_target_a_worker_has_three_quarters_of_what_it_runs_at_once():
    """And never more than that where the target is larger: those that queue are too many."""
    left_out, large = (
        Model(name, loaded=True, spec=replace_replicas(ReplicasSpec(min=1, max=9, target=target)))
        for name, target in (("left_out", None), ("large", 100))
    )
    world = World(left_out=left_out, large=large)
    for model in (left_out, large):
        model.present = replace(model.present, ready=1, capacity=8)
    world.attendance.report("g", {"left_out": Use(active=7), "large": Use(active=8, waiting=1)})
    await world.over(20.0)
    assert (left_out.told, large.told) == ([2], [2])


@jumping
async def test_an_idle_model_makes_room_for_another():
    """Once it has paid for its loading; whoever takes the memory says that it waits."""
    world, waits = World(m=Model("m", loaded=True)), []
    taken = await world.attendance.take(admitting(*[5] * 7), lambda: waits.append(world.loop.time()))
    assert (taken, world.models["m"].told, len(waits)) == ("admitted", ["unload"], 7)


@jumping
async def test_where_nobody_could_make_room_it_is_said_at_once():
    world = World(m=Model("m", loaded=True))
    for missing in (11, None):
        with pytest.raises(NotAdmitted):
            await world.attendance.take(admitting(missing), pytest.fail)
    assert world.models["m"].told == []


@jumping
async def test_memory_is_taken_in_turn():
    """The one that made others leave gets what they left, however many ask meanwhile."""
    world, order = World(m=Model("m", loaded=True)), []

    async def take(name, *missing):
        order.append(await world.attendance.take(admitting(*missing), lambda: None) and name)

    await asyncio.gather(take("first", 5, 5, 5), take("second"))
    assert order == ["first", "second"]


@jumping
async def test_who_sleeps_makes_room_with_what_it_still_holds_but_not_while_it_lies_down():
    """One that is falling asleep is asked once, and waited for."""
    world = World(sleeper=Model("sleeper", loaded=True), other=Model("other"))
    sleeper = world.models["sleeper"]
    asleep = replace(sleeper.present, dormant=True, ready_since=None)
    sleeper.unload = lambda: sleeper.told.append("unload")
    await world.over(10.0)
    sleeper.told.clear()
    taking = world.loop.create_task(world.attendance.take(admitting(10, 10, 5)))
    await asyncio.sleep(0)
    sleeper.present = replace(asleep, settling=True)
    await asyncio.wait({taking}, timeout=3.0)
    assert sleeper.told == ["unload"]
    sleeper.present = asleep
    assert await taking == "admitted"
    assert sleeper.told == ["unload", "unload"]
