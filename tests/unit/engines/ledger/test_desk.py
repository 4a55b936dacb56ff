"""Orders about adapters when things go wrong: one answer each, and what was refused has changed nothing."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
from collections import Counter
from pathlib import Path

import pytest

from engines.ledger.stock import name_of
from engines.store.adapters import AdapterStore
from engines.store.failures import StoreFull
from registry.adapter_orders import (
    Adapted,
    AdapterRefusal,
    AddAdapter,
    ListAdapters,
    PromoteAdapter,
    RemoveAdapter,
    RollbackAdapter,
    SplitAdapter,
)
from registry.adapters import Canary, Share, decode
from registry.room import AdaptersSpec
from registry.spec import ModelSpec, Registry
from tests.unit.engines.ledger.rig import Host, Rig, crafted, rig
from tests.waiting import eventually


async def order(made: Rig, what: object) -> object:
    return await made.desk.obey(what, lambda _: None)


async def test_two_adds_of_one_name_at_once_are_two_revisions_and_one_meaning(tmp_path: Path) -> None:
    """One after the other, both proved; the one that was told what the name stood for is the one refused."""
    async with rig(tmp_path, "a") as made:
        both = await asyncio.gather(made.add("one", 8, base=""), made.add("one", 16, base=""))
        assert sorted(type(each).__name__ for each in both) == ["Adapted", "AdapterRefusal"]
        assert [each.status for each in both if isinstance(each, AdapterRefusal)] == [409]
        assert list(made.meanings()) == ["m:one"]


async def test_adapters_of_a_model_that_is_gone_are_listed_and_can_be_removed(tmp_path: Path) -> None:
    """By the name that it had, also where that is another one's alias now; who means that one's adapter gets it."""
    async with rig(tmp_path, "a") as made:
        for adapter in ("one", "two"):
            assert isinstance(await made.add(adapter), Adapted)
        async with made.worker("b", model="n"):
            assert isinstance(await made.add("two", model="n"), Adapted)
        spec = ModelSpec(source="./weights", engine="vllm", adapters=AdaptersSpec(slots=2), aliases=["m"])
        made.desk.adopt(Registry(models={"n": spec}))
        assert [each.adapter for each in (await order(made, ListAdapters("m", "one"))).revisions] == ["one"]
        assert await order(made, RemoveAdapter("m", "two", "ann")) == Adapted()
        assert list(made.meanings()) == ["m:one", "m:two"]
        made.desk.adopt(Registry(models={}))
        for adapter in ("one", "two"):
            assert await order(made, RemoveAdapter("m", adapter, "ann")) == Adapted()
        assert (made.meanings(), (await order(made, RemoveAdapter("m", "none", "ann"))).status) == ({}, 404)


@pytest.mark.parametrize("source", ["https://127.0.0.1:9/cat/", "http://localhost:9/cat/", "https://localhost:9/a/"])
async def test_a_source_inside_is_refused_to_who_is_outside(tmp_path: Path, source: str) -> None:
    """Nobody is asked; the operator's own registry may name it, and then only finds nobody there."""
    async with rig(tmp_path, "a") as made:
        answer = await order(made, AddAdapter("m", "cat", source, "api:1.2.3.4", outside=True))
        assert (answer.status, answer.code) == (403, "source_inside")


async def test_a_listing_shows_what_is_split(tmp_path: Path) -> None:
    async with rig(tmp_path, "a") as made:
        one, other = [(await made.add("one", alpha)).revision.digest for alpha in (8, 16)]
        canary = Canary((Share(one[:8], 95), Share(other[:8], 5)), max_error_rate=0.5)
        assert isinstance(await order(made, SplitAdapter("m", "one", "ann", canary)), Adapted)
        (split,) = (await order(made, ListAdapters())).splits
        assert (split.adapter, split.shares, split.max_error_rate) == ("one", {one: 95, other: 5}, 0.5)


async def test_the_same_content_again_is_no_new_revision(tmp_path: Path) -> None:
    async with rig(tmp_path, "a") as made:
        both = [await made.add("one"), await made.add("one")]
        assert both[0].revision.digest == both[1].revision.digest
        assert len((await order(made, ListAdapters("m"))).revisions) == 1


async def test_what_no_worker_takes_leaves_nothing_behind(tmp_path: Path) -> None:
    """Neither a name, a revision nor a load; every worker's reason is told."""
    async with rig(tmp_path, "a", "b") as made:
        made.hosts["a"].refuses = made.hosts["b"].refuses = 9
        answer = await made.add("one")
        assert (answer.status, set(answer.faults)) == (502, {"a.1", "b.1"})
        assert (made.meanings(), (await order(made, ListAdapters())).revisions) == ({}, ())
        assert list((tmp_path / "state/adapters/revisions").iterdir()) == []


async def test_a_worker_that_dies_between_load_and_proof_proves_nothing(tmp_path: Path) -> None:
    async with rig(tmp_path, "a") as made:
        made.hosts["a"].dies_after_loading = True
        answer = await made.add("one")
        assert (answer.status, made.meanings(), made.resident("a")) == (502, {}, ())


async def test_an_add_while_the_worker_restarts_waits_for_it(tmp_path: Path) -> None:
    async with rig(tmp_path) as made, asyncio.TaskGroup() as group:
        adding = group.create_task(made.add("one"))
        await eventually(lambda: made.steward.weights("m") is None and not adding.done())
        async with made.worker("a"):
            answer = await adding
            assert isinstance(answer, Adapted)
            assert answer.revision.workers == ("a.1",)


async def test_without_any_worker_an_add_is_refused_in_the_end(tmp_path: Path) -> None:
    async with rig(tmp_path, adapter_worker=0.0) as made:
        assert ((await made.add("one")).status, made.meanings()) == (503, {})


class FullStore(AdapterStore):
    """A store on a disk without space."""

    async def add(self, *_: object) -> None:
        raise StoreFull("the disk is full")


async def test_a_full_disk_is_told_and_an_upload_does_not_stay(tmp_path: Path) -> None:
    """FAULTS 22, here: 507, and the previous revision serves."""
    async with rig(tmp_path, "a") as made:
        before = await made.added("one")
        made.all.stock.store.__class__ = FullStore
        answer = await made.add("one", 16, consumed=True)
        assert (answer.status, answer.code, made.resident("a")) == (507, "disk_full", (before,))
        assert not (tmp_path / "adapter-16").exists()


async def test_what_was_uploaded_says_nothing_of_where_it_lay(tmp_path: Path) -> None:
    """Neither in lists nor in refusals: no path of the machine, and no advice to add from there again."""
    async with rig(tmp_path, "a") as made:
        broken = crafted(tmp_path, 4)
        (broken / "adapter_model.safetensors").write_bytes(b"x")
        refused = await made.add("two", 4, consumed=True)
        kept = await made.add("one", consumed=True)
        assert (kept.revision.source, refused.status, str(tmp_path) in refused.message) == ("the upload", 422, False)


@pytest.mark.parametrize("name", ["m", "n", "default"])
async def test_no_adapter_is_called_as_a_model_is(tmp_path: Path, name: str) -> None:
    """Asked for by its name alone, that model would answer in its place; one that was there before stays."""
    async with rig(tmp_path, "a") as made:
        spec = ModelSpec(source="./w", engine="vllm", aliases=["default"], adapters=AdaptersSpec(slots=2, max_rank=64))
        made.desk.adopt(Registry(models={"m": spec}))
        before = await made.add("n")
        made.desk.adopt(Registry(models={"m": spec, "n": ModelSpec(source="./w", engine="vllm")}))
        answers = [await made.add(name), before]
        assert [isinstance(each, Adapted) for each in answers] == [name == "n", True]
        assert name == "n" or (answers[0].status, answers[0].code) == (422, "adapter_name")


async def test_the_source_may_disappear_once_it_is_stored(tmp_path: Path) -> None:
    async with rig(tmp_path, "a") as made:
        name = await made.added("one")
        shutil.rmtree(tmp_path / "adapter-8")
        async with made.worker("b"):
            assert made.resident("b") == (name,)


async def test_a_burst_of_adds_each_make_a_token(tmp_path: Path) -> None:
    """On two slots: all are published, none is loaded beside its slots."""
    async with rig(tmp_path, "a") as made:
        answers = await asyncio.gather(*(made.add(f"n{number}") for number in range(30)))
        assert [each.message for each in answers if isinstance(each, AdapterRefusal)] == []
        assert (len(made.meanings()), len(made.hosts["a"].held)) == (30, 2)


async def test_the_same_name_on_another_model_is_another_adapter(tmp_path: Path) -> None:
    async with rig(tmp_path, "a") as made, made.worker("b", model="n"):
        await made.added("one")
        other = await made.add("one", 16, model="n")
        assert (set(made.meanings()), other.revision.workers) == ({"m:one", "n:one"}, ("b.1",))
        await order(made, RemoveAdapter("n", "one", "ann"))
        assert set(made.meanings()) == {"m:one"}


async def test_a_name_that_is_moved_is_proved_first_and_can_go_back(tmp_path: Path) -> None:
    """FAULTS 27: from one digest to the other in one step; the old one stays for those who use it."""
    async with rig(tmp_path, "a") as made:
        first = await made.added("one")
        second = (await made.add("one", 16)).revision.digest
        assert made.meanings()["m:one"] in first or first.endswith(made.meanings()["m:one"][:16])
        moved = await order(made, PromoteAdapter("m", "one", second[:8], "bob"))
        assert (moved.revision.current, made.meanings()["m:one"], first in made.resident("a")) == (True, second, True)
        back = await order(made, RollbackAdapter("m", "one", "bob"))
        assert first.endswith(back.revision.digest[:16])


async def test_a_name_can_go_back_although_no_worker_serves(tmp_path: Path) -> None:
    """It was proved once; who repairs a house must not have to wait for it."""
    async with rig(tmp_path) as made:
        async with made.worker("a"):
            await made.added("one")
            await made.added("one", 16, promote=True)
        assert isinstance(await order(made, RollbackAdapter("m", "one", "bob")), Adapted)


@pytest.mark.parametrize("name", ["a/b", "..", "a:b", "a\0b", "x" * 10_000, "UPPER", "", "pi\u0440ate"])
async def test_no_other_name_reaches_a_worker(tmp_path: Path, name: str) -> None:
    """Slashes, dots, control characters, 10 kB, a Cyrillic look-alike."""
    async with rig(tmp_path, "a") as made:
        answer = await made.add(name)
        assert (answer.status, made.hosts["a"].loads) == (422, Counter())
        assert len(answer.message) < 500


async def test_what_was_removed_while_it_was_loaded_does_not_stay(tmp_path: Path) -> None:
    async with rig(tmp_path, "a") as made:
        await made.added("one")
        made.hosts["b"] = Host("b")
        made.hosts["b"].gate.clear()
        async with asyncio.TaskGroup() as group:
            entering = made.worker("b", host=made.hosts["b"])
            coming = group.create_task(entering.__aenter__())
            await eventually(lambda: made.hosts["b"].loads)
            await order(made, RemoveAdapter("m", "one", "ann"))
            made.hosts["b"].gate.set()
            await coming
            await eventually(lambda: not made.hosts["b"].held and not made.hosts["a"].held)
            await entering.__aexit__(None, None, None)


async def test_a_split_survives_the_supervisor_and_ends_with_a_promotion(tmp_path: Path) -> None:
    """Its digests are published whole; what it names is loaded, proved, and on record."""
    async with rig(tmp_path, "a") as made:
        await made.added("one")
        second = (await made.add("one", 16)).revision.digest
        first = made.meanings()["m:one"]
        canary = Canary((Share(first[:8], 95), Share(second[:8], 5)), min_requests=7)
        answer = await order(made, SplitAdapter("m", "one", "ann", canary))
        assert (answer.revision.digest, len(made.resident("a"))) == (first, 2)
    async with rig(tmp_path, "a") as again:
        (view,) = decode(bytes(again.board.snapshot.adapters))
        assert view.canary == Canary((Share(first, 95), Share(second, 5)), min_requests=7)
        assert len(again.resident("a")) == 2
        await order(again, PromoteAdapter("m", "one", second, "ann"))
        (view,) = decode(bytes(again.board.snapshot.adapters))
        assert (view.canary, view.current) == (None, second)
        moves = (await order(again, ListAdapters("m", "one"))).history
        assert [each.why for each in moves] == ["promote", "split", "promote"]
        assert (await order(again, RollbackAdapter("m", "one", "ann"))).revision.digest == first


@pytest.mark.parametrize("parts", [((0, 0),), ((0, -1),), ((0, 1), (0, 2))])
async def test_a_split_that_means_nothing_is_refused(tmp_path: Path, parts: tuple[tuple[int, int], ...]) -> None:
    """No part above 0, one below 0, the same revision twice."""
    async with rig(tmp_path, "a") as made:
        digests = [(await made.add("one")).revision.digest]
        canary = Canary(tuple(Share(digests[which], weight) for which, weight in parts))
        assert (await order(made, SplitAdapter("m", "one", "ann", canary))).status == 422


@pytest.mark.parametrize("added", [True, False])
async def test_a_name_stays_where_it_is_when_its_split_cannot_be_ended(tmp_path: Path, *, added: bool) -> None:
    """One transaction: an order that the disk does not take whole is refused, and leaves nothing behind."""
    async with rig(tmp_path, "a", slots=4) as made:
        first, other = [(await made.add("one", alpha)).revision.digest for alpha in (8, 16)]
        canary = Canary((Share(first, 1), Share(other, 1)))
        assert isinstance(await order(made, SplitAdapter("m", "one", "ann", canary)), Adapted)
        held = {name_of(each) for each in made.all.stock.of("m", "one")}
        with contextlib.closing(sqlite3.connect(tmp_path / "state/adapters/store.sqlite")) as rows:
            rows.execute("CREATE TRIGGER amiss BEFORE DELETE ON splits BEGIN SELECT RAISE(ABORT, 'worn out'); END")
        moved = made.add("one", 32, promote=True) if added else order(made, PromoteAdapter("m", "one", other, "ann"))
        answer = await moved
        assert (answer.status, "worn out" in answer.message) == (503, True)
        (view,) = decode(bytes(made.board.snapshot.adapters))
        assert (view.current, view.canary, {*view.revisions}) == (first, canary, {first, other})
        listed = await order(made, ListAdapters("m", "one"))
        assert (len(listed.history), {each.digest for each in listed.revisions}) == (2, {first, other})
        assert {each.name for each in (tmp_path / "state/adapters/revisions").iterdir()} == {first, other}
        assert sum(made.hosts["a"].loads.values()) == 2 + added
        await eventually(lambda: {*made.resident("a")} == held)


async def test_a_source_that_cannot_be_a_path_is_refused(tmp_path: Path) -> None:
    async with rig(tmp_path, "a") as made:
        answer = await order(made, AddAdapter("m", "one", "/" + "x" * 5000, "ann"))
        assert isinstance(answer, AdapterRefusal)
        assert (answer.status, answer.code) == (422, "adapter_refused")
