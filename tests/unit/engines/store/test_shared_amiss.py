"""Hosts that share their adapters, where something is amiss: it is said, mended, and harms nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import msgspec
import pytest

from engines.store.failures import StoreAway, StoreDamaged
from registry.adapters import Canary, Share
from tests.unit.engines.store.hosts import NOTHING_KEPT, same, two_hosts


@pytest.fixture
async def house(tmp_path):
    return await two_hosts(tmp_path)


async def test_without_the_annals_nothing_changes_and_everything_can_be_read(house):
    house.annals.away = "gone"
    before = await house.a.all()
    await house.a.store.find("m", "pirate")
    for change in (
        house.a.store.remove("m", "pirate", "ann"),
        house.a.store.pin("m", "pirate", house.first),
        house.a.store.meet("m", "pirate"),
        house.a.store.follow(),
    ):
        with pytest.raises(StoreAway):
            await change
    assert await house.a.all() == before


async def test_annals_that_hang_hold_no_thread_that_others_need(house):
    """Those of probes, and of reads: looks and orders have their own."""
    answers, others = threading.Event(), ThreadPoolExecutor(1)
    asyncio.get_running_loop().set_default_executor(others)
    house.annals.meets = answers.wait
    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(house.a.store.meet("m", "pirate"))
        await asyncio.sleep(0)
        try:
            async with asyncio.timeout(60.0):
                assert await house.a.at() == house.first
        finally:
            answers.set()


async def test_an_addition_that_cannot_be_told_is_taken_back(house):
    """What `adding` does where `admit` fails."""
    house.annals.away = "gone"
    with pytest.raises(StoreAway):
        await house.a.add(2, promote=True)
    (left,) = (each for each in await house.a.store.revisions() if not each.current)
    await house.a.store.discard(left)
    house.annals.away = ""
    assert (await same(house.a, house.b), len(await house.a.store.revisions())) == (True, 1)


async def test_a_host_stays_where_it_is_while_files_are_not_to_be_had(house):
    """And takes them when they are; a wrong file is none."""
    second = (await house.a.add(2, promote=True)).digest
    place = house.files / "revisions" / second
    weights = place / "adapter_model.safetensors"
    good = weights.read_bytes()
    weights.write_bytes(good[:-1] + b"x")
    assert "was changed on the disk" in (await house.b.follow())["m:pirate"]
    assert await house.b.at() == house.first
    shutil.rmtree(place)
    assert (await house.b.follow())["m:pirate"]
    house.a.depot.put(second, await house.a.store.verify(await house.a.store.find("m", "pirate")))
    for _ in range(20):  # what failed is tried again now and then
        await house.b.follow()
    assert (await house.b.at(), await house.b.follow()) == (second, {})


async def test_a_revision_whose_files_are_late_comes_with_them(house):
    """Although no name stands for it, and nothing is said of it again."""
    second = (await house.a.add(2)).digest
    place = house.files / "revisions" / second
    place.rename(house.files / "late")
    assert "is not there (yet)" in (await house.b.follow())["m:pirate"]
    (house.files / "late").rename(place)
    for _ in range(20):  # what failed is tried again now and then
        await house.b.follow()
    assert (await same(house.a, house.b), len(await house.b.store.revisions())) == (True, 2)
    assert await house.b.follow() == {}


async def test_what_is_decided_and_cannot_be_taken_over_here_is_owed(house):
    """The name is moved for all; this host follows once it has the files."""
    second = (await house.a.add(2)).digest
    place = house.files / "revisions" / second
    place.rename(house.files / "late")
    await house.b.store.promote("m", "pirate", second, "bob")
    assert "is not there (yet)" in (await house.b.follow())["m:pirate"]
    await house.a.follow()
    assert (await house.a.at(), await house.b.at()) == (second, house.first)
    (house.files / "late").rename(place)
    for _ in range(20):  # what failed is tried again now and then
        await house.b.follow()
    assert (await same(house.a, house.b), await house.b.at()) == (True, second)


async def test_what_was_taken_last_and_cannot_be_read_is_taken_again(house):
    with sqlite3.connect(house.b.root / "store.sqlite") as connection:
        connection.execute("UPDATE taken SET entry = x'00'")
    connection.close()
    again = await house.host("b")
    assert again.store._book.shared("m", "pirate") == frozenset()
    assert (await again.follow(), again.store._book.shared("m", "pirate")) == ({}, {house.first})
    assert await same(house.a, again)


async def test_rows_that_are_damaged_are_said_to_be(house):
    """By their file's name, and no other host is harmed."""
    for found in house.b.root.glob("store.sqlite*"):
        found.unlink()
    (house.b.root / "store.sqlite").write_bytes(b"nonsense" * 1000)
    await house.a.add(2)
    assert "store.sqlite is damaged" in (await house.b.follow())["m:pirate"]
    with pytest.raises(StoreDamaged):
        await house.b.store.pin("m", "pirate", house.first)
    assert await house.a.follow() == {}


async def test_where_no_folder_is_mounted_nothing_is_added(house):
    """And no folder is made."""
    shutil.rmtree(house.files)
    with pytest.raises(StoreAway, match="is it mounted"):
        await house.a.add(2, promote=True)
    assert (house.files.exists(), await house.a.at()) == (False, house.first)
    await house.a.store.remove("m", "pirate", "ann")
    assert ([*await house.b.follow()], await house.b.at()) == ([], "")


async def test_what_the_shared_folder_has_lost_is_brought_again(house):
    """And while there is none, that is said."""
    house.files.rename(house.files.with_name("away"))
    again = await house.host("a")
    assert "is it mounted" in (await again.follow())[""]
    house.files.mkdir()
    for _ in range(20):  # what failed is tried again now and then
        await again.follow()
    assert (await again.follow(), (house.files / "revisions" / house.first).is_dir()) == ({}, True)


async def test_many_adapters_are_taken_over_some_at_a_time(house):
    """So that the first of them need not wait for the last one; none is forgotten."""
    for number in range(150):
        house.annals.put(f"m:{number}", b"", b"nonsense")
    assert [len(await house.b.follow()) for _ in range(3)] == [100, 150, 150]


async def test_what_could_not_be_given_is_given_at_the_next_look(house):
    """Redis takes nothing for once, and what else has changed is published all the same."""

    def refuse() -> None:
        raise StoreAway("read only")

    await house.a.add(2, adapter="amy")
    house.annals.entries.pop("m:pirate")
    again = await house.host("b")
    house.annals.meanwhile.append(refuse)
    found = await again.store.follow()
    assert (found.changed, [*found.troubles], "read only" in found.troubles["m:pirate"]) == (
        (("m", "amy"),), ["m:pirate"], True
    )  # fmt: skip
    found = await again.store.follow()
    assert (found.changed, found.troubles) == ((("m", "pirate"),), {})


async def test_annals_that_take_nothing_for_long_are_followed_all_the_same(house):
    """They are asked to take something once a look, and are given all of it as soon as they do."""
    for name in ("amy", "ben", "cid"):
        await house.b.add(1, adapter=name)
    await house.a.add(2, adapter="zoe")
    lost, tried = ["m:amy", "m:ben", "m:pirate"], []
    for name in lost:
        del house.annals.entries[name]
    again = await house.host("b")

    def refuse() -> None:
        tried.append(1)
        house.annals.meanwhile.append(refuse)
        raise StoreAway("read only")

    house.annals.meanwhile.append(refuse)
    found = await again.store.follow()
    assert ([*found.troubles], found.changed) == (lost, (("m", "zoe"),))
    assert ([*await again.follow()], len(tried)) == (lost, 2)
    house.annals.meanwhile.clear()
    assert (await again.follow(), len(house.annals.entries)) == ({}, 5)


async def test_what_changed_in_a_look_that_was_broken_off_is_told(house):
    """Redis goes in the middle of it, and what came before that is published all the same."""
    await house.a.add(2, adapter="amy")
    house.b.store._book._due.add("m:zoe")
    asked = count(1)

    def goes() -> None:
        house.annals.away = "gone" if next(asked) == 2 else ""

    house.annals.meets = goes
    found = await house.b.store.follow()
    assert (found.changed, found.troubles) == ((("m", "amy"),), {"": "gone"})
    assert (await house.b.store.follow()).changed == ()


async def test_what_is_nobodys_is_no_trouble_once_it_is_taken_out(house):
    house.annals.put("foo", b"", b"{}")
    assert "which is no adapter's name" in (await house.b.follow())["foo"]
    del house.annals.entries["foo"]
    for _ in range(20):  # what failed is tried again now and then
        await house.b.follow()
    assert await house.b.follow() == {}


@pytest.mark.parametrize("taken", [False, True])
async def test_a_split_of_what_is_not_there_holds_no_order_up(house, taken):
    """An older host writes one, or wrote this host's own rows: it has ended, and orders end it for all."""
    split = Canary((Share(house.first, 1), Share((await house.a.add(2)).digest, 1)))
    await house.a.store.note_split("m", "pirate", "ann", split)
    assert await same(house.a, house.b)
    raw = msgspec.json.decode(house.annals.get("m:pirate"))
    raw["split"]["split"][1][0] = "f" * 64
    house.annals.put("m:pirate", house.annals.get("m:pirate"), entry := msgspec.json.encode(raw))
    if taken:
        with contextlib.closing(sqlite3.connect(house.b.root / "store.sqlite")) as rows, rows:
            rows.execute("UPDATE taken SET entry = ?", (entry,))
            rows.execute("UPDATE splits SET canary = ?", (msgspec.json.encode(raw["split"]),))
    again = await house.host("b")
    assert (await again.follow(), await again.split()) == ({}, None)
    assert again.store._book.shared("m", "pirate") == {share.digest for share in split.split}
    await again.store.promote("m", "pirate", split.split[1].digest, "bob")
    assert (await same(house.a, again), await house.a.split()) == (True, None)
    await again.store.rollback("m", "pirate", "bob")
    assert (await same(house.a, again), await house.a.at()) == (True, house.first)


async def test_nonsense_in_the_annals_changes_nothing(house):
    """It is said, and other adapters are followed."""
    house.annals.put("m:pirate", house.annals.get("m:pirate"), b'{"version": 9}')
    house.annals.put("../m:pirate", b"", b"{}")
    troubles = await house.b.follow()
    assert (sorted(troubles), await house.b.at()) == (["../m:pirate", "m:pirate"], house.first)
    with pytest.raises(StoreDamaged):
        await house.b.store.remove("m", "pirate", "bob")
    house.annals.entries = {}
    again = await house.host("a")
    assert (await again.follow(), "m:pirate" in house.annals.entries) == ({}, True)


async def test_what_was_collected_is_said_although_the_shared_folder_is_away(house):
    """Or it would be published on, without its files."""
    second = (await house.a.add(2)).digest
    house.files.rename(house.files.with_name("away"))
    assert [each.digest for each in await house.a.store.collect((), NOTHING_KEPT)] == [second]
    assert [each.digest for each in await house.a.store.revisions()] == [house.first]
    assert (await house.a.store.follow()).changed == (("m", "pirate"),)
