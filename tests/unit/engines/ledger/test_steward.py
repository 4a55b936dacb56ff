"""Adapters come to workers when they are wanted, leave when others are, and what went wrong is put right."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from registry.adapter_orders import AdapterUse, Demand, Missing, PinAdapter, RemoveAdapter, Want
from tests.unit.engines.ledger.rig import Rig, rig
from tests.waiting import eventually


def names(made: Rig) -> set[str]:
    return {each.adapter for each in made.board.snapshot.evicted}


def unloadable(made: Rig) -> dict[str, str]:
    return {each.adapter: each.reason for each in made.board.snapshot.unloadable}


async def look(made: Rig, worker: str = "a") -> None:
    await made.steward.look(f"{worker}.1")


async def test_500_requests_for_a_cold_adapter_load_it_once(tmp_path: Path) -> None:
    """FAULTS 23: who wanted it first, and left, takes nothing along."""
    async with rig(tmp_path, "a") as made:
        cold = await made.added("one")
        made.steward.evict(cold)
        await eventually(lambda: made.resident("a") == ())
        loads = made.hosts["a"].loads[cold]
        made.hosts["a"].gate.clear()
        for gateway in range(500):
            made.all.heard(gateway, Want("m", cold))
        await eventually(lambda: made.hosts["a"].loads[cold] > loads)
        for gateway in range(500):
            made.all.ended(gateway)
        made.hosts["a"].gate.set()
        await eventually(lambda: made.resident("a") == (cold,))
        assert made.hosts["a"].loads[cold] == loads + 1


async def test_what_leaves_is_unloaded_only_when_every_gateway_has_let_go(tmp_path: Path) -> None:
    """FAULTS 27: streams end on what they began with."""
    async with rig(tmp_path, "a", slots=1) as made, asyncio.TaskGroup() as group:
        made.holds.joined("gateway")
        old = await made.added("one")
        adding = group.create_task(made.add("two", 16))
        await eventually(lambda: names(made) == {old})
        assert (made.resident("a"), set(made.hosts["a"].held)) == ((), {old})
        (leaving,) = made.board.snapshot.evicted
        made.holds.freed("gateway", leaving.hold)
        answer = await adding
        assert (answer.faults, set(made.hosts["a"].held)) == ({}, set(made.resident("a")))
        assert (len(made.resident("a")), made.board.snapshot.evicted) == (1, ())


async def test_what_is_pinned_never_leaves(tmp_path: Path) -> None:
    async with rig(tmp_path, "a", slots=2) as made:
        kept = await made.added("one")
        await made.desk.obey(PinAdapter("m", "one", "", "ann"), lambda _: None)
        for number in range(5):
            await made.added(f"other-{number}", 16 + number)
            assert kept in made.resident("a")
        assert made.hosts["a"].loads[kept] == 1


async def test_waiting_requests_bring_back_what_had_to_leave(tmp_path: Path) -> None:
    async with rig(tmp_path, "a", slots=1) as made:
        first, second = await made.added("one"), await made.added("two", 16)
        assert made.resident("a") == (second,)
        made.all.heard("gateway", AdapterUse({"m": {first: Demand(waiting=3)}}))
        await eventually(lambda: made.resident("a") == (first,))


async def test_what_an_engine_has_dropped_is_loaded_again_at_the_next_probe(tmp_path: Path) -> None:
    """FAULTS 26; and what somebody has loaded by hand is taken away."""
    async with rig(tmp_path, "a") as made:
        name = await made.added("one")
        made.hosts["a"].held = {"by-hand": "/tmp/x"}
        await look(made)
        await eventually(lambda: made.resident("a") == (name,) and set(made.hosts["a"].held) == {name})


async def test_what_a_gateway_misses_is_loaded_again_at_once(tmp_path: Path) -> None:
    async with rig(tmp_path, "a") as made:
        name = await made.added("one")
        made.hosts["a"].held.clear()
        made.all.heard("gateway", Missing("a.1", name))
        assert made.resident("a") == ()
        await eventually(lambda: made.resident("a") == (name,))
        assert made.hosts["a"].loads[name] == 2


async def test_a_worker_that_refuses_while_others_take_it_is_told_and_mended(tmp_path: Path) -> None:
    """FAULTS 25."""
    async with rig(tmp_path, "a", "b", "c") as made:
        made.hosts["b"].refuses = 1
        answer = await made.add("one")
        assert "out of memory" in answer.faults["b.1"]
        assert [len(made.resident(each)) for each in "abc"] == [1, 0, 1]

        async def mended() -> bool:
            await look(made, "b")
            return len(made.resident("b")) == 1

        await eventually(mended)


async def test_what_every_worker_has_refused_is_said_until_one_takes_it(tmp_path: Path) -> None:
    """Once could be chance, twice in a row is not; who asks for it need not wait."""
    async with rig(tmp_path, "a", load_first=600.0, load_longest=600.0) as made:
        name = await made.added("one")
        made.hosts["a"].refuses = 2
        made.steward.evict(name)
        await eventually(lambda: made.hosts["a"].refuses == 1 and made.ledger.state("a.1", name) is None)
        assert unloadable(made) == {}
        made.all.heard("gateway", Want("m", name, ("x",)))
        await eventually(lambda: "out of memory" in unloadable(made).get(name, ""))
        async with made.worker("b"):
            await eventually(lambda: unloadable(made) == {} and made.resident("b") == (name,))


async def test_what_has_lost_its_files_is_said_at_once_and_without_a_path(tmp_path: Path) -> None:
    async with rig(tmp_path, "a", load_first=600.0, load_longest=600.0) as made:
        name = await made.added("one")
        shutil.rmtree(tmp_path / "state/adapters/revisions")
        made.steward.evict(name)
        await eventually(lambda: name in unloadable(made))
        assert ("files are gone" in unloadable(made)[name], str(tmp_path) in unloadable(made)[name]) == (True, False)
        assert any("cannot be read" in each for each in made.steward.remarks("a.1"))
        await made.desk.obey(RemoveAdapter("m", "one", "ann"), lambda _: None)
        await eventually(lambda: unloadable(made) == {})


async def test_what_finds_no_slot_that_is_not_pinned_is_said_until_there_is_one(tmp_path: Path) -> None:
    """It would wait for ever."""
    async with rig(tmp_path, "a", slots=1) as made:
        other, kept = await made.added("other"), await made.added("kept", 16)
        await made.desk.obey(PinAdapter("m", "kept", "", "ann"), lambda _: None)
        made.all.heard("gateway", Want("m", other))
        await eventually(lambda: unloadable(made) == {other: "all slots are taken by what is pinned"})
        assert made.resident("a") == (kept,)
        await made.desk.obey(PinAdapter("m", "kept", "", "ann", pinned=False), lambda _: None)
        made.all.heard("gateway", Want("m", other))
        await eventually(lambda: unloadable(made) == {} and made.resident("a") == (other,))


async def test_a_new_worker_has_what_names_stand_for_before_it_is_ready(tmp_path: Path) -> None:
    async with rig(tmp_path, "a") as made:
        name = await made.added("one")
        async with made.worker("b"):
            assert made.resident("b") == (name,)
        assert made.resident("b") == ()


async def test_who_was_served_is_not_waited_for_again(tmp_path: Path) -> None:
    """A gateway's report is a second old: what it says of those who waited does not drive out what came next."""
    async with rig(tmp_path, "a", slots=1) as made:
        first, second = await made.added("one"), await made.added("two", 16)
        made.all.heard("gateway", AdapterUse({"m": {first: Demand(waiting=1)}}))
        await eventually(lambda: made.resident("a") == (first,))
        made.all.heard("other", AdapterUse({"m": {second: Demand(waiting=1)}}))
        await eventually(lambda: made.resident("a") == (second,))
        loads = sum(made.hosts["a"].loads.values())
        for _ in range(20):
            await made.ledger.change() if made.board.snapshot.evicted else await look(made)
        assert (made.resident("a"), sum(made.hosts["a"].loads.values())) == ((second,), loads)


async def test_a_list_that_was_asked_for_before_a_load_proves_nothing(tmp_path: Path) -> None:
    """The probe's answer is old when it comes: what was loaded meanwhile is not lost."""
    async with rig(tmp_path, "a") as made, asyncio.TaskGroup() as group:
        made.hosts["a"].listing.clear()
        looking = group.create_task(look(made))
        await eventually(lambda: made.hosts["a"].asked)
        name = await made.added("one")
        made.hosts["a"].listing.set()
        await looking
        assert (made.resident("a"), made.hosts["a"].loads[name]) == ((name,), 1)
