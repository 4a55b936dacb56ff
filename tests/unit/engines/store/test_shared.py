"""Hosts that share their adapters: what one does all have, nothing is lost, and nothing is half done."""

from __future__ import annotations

import asyncio
import shutil
from itertools import count
from types import SimpleNamespace

import pytest

from engines.store.depot import Depot
from engines.store.failures import AliasMoved, StoreAway, StoreBusy, StoreDamaged
from engines.store.keeping import Keep
from registry.adapters import Canary, Share
from tests.unit.engines.store.hosts import Host, MemoryCommons

NOTHING_KEPT = Keep(last=1, seconds=0.0)


@pytest.fixture
async def house(tmp_path):
    """Hosts a and b; a has added an adapter, and both know it."""
    commons, clock, files = MemoryCommons(), count(1000), tmp_path / "files"
    files.mkdir()

    async def host(name: str) -> Host:
        return await Host(tmp_path / name, commons, files, clock).open()

    made = SimpleNamespace(commons=commons, files=files, host=host, a=await host("a"), b=await host("b"))
    made.first = (await made.a.add(1)).digest
    assert (await made.a.follow(), await made.b.follow()) == ({}, {})
    return made


async def same(*hosts: Host) -> bool:
    for each in hosts:
        await each.follow()
    found = [await each.all() for each in hosts]
    return all(each == found[0] for each in found)


async def test_what_was_added_on_one_host_is_whole_on_the_other(house):
    (kept,) = await house.b.store.revisions("m", "pirate")
    assert (kept.digest, kept.current, kept.who) == (house.first, True, "a")
    assert (await house.b.store.verify(kept)).is_dir()


async def test_every_change_is_followed(house):
    second = (await house.b.add(2, promote=True)).digest
    assert (await same(house.a, house.b), await house.a.at()) == (True, second)
    await house.a.store.rollback("m", "pirate", "ann")
    await house.a.store.pin("m", "pirate", second, pinned=True)
    await house.a.store.note_split("m", "pirate", "ann", Canary((Share(house.first, 1), Share(second, 1))))
    assert (await same(house.a, house.b), await house.b.at()) == (True, house.first)
    assert house.b.splits.of("m", "pirate").split[1].digest == second
    await house.b.store.remove("m", "pirate", "bob")
    assert (await same(house.a, house.b), await house.a.at()) == (True, "")
    assert house.a.splits.of("m", "pirate") is None
    assert [each.pinned for each in await house.a.store.revisions()] == [False, False]


async def test_of_two_first_revisions_the_first_one_has_the_name(house):
    """The second one is known everywhere, and nobody's."""
    await house.a.store.remove("m", "pirate", "ann")
    found = [await house.b.add(2), await house.a.add(3)]
    assert [each.current for each in found] == [True, False]
    assert (await same(house.a, house.b), len(await house.b.store.revisions())) == (True, 3)


async def test_who_added_a_revision_first_is_the_same_on_all_hosts(house):
    """Although another host has added the same content, and has not heard of the first one."""
    await house.a.add(2)
    assert (await house.b.add(2)).current is False
    assert await same(house.a, house.b)
    assert [each.who for each in await house.b.store.revisions()] == ["a", "a"]


async def test_an_expected_revision_is_compared_where_all_decide(house):
    """Although this host has not heard of the other's promotion yet."""
    await house.b.add(2, promote=True)
    with pytest.raises(AliasMoved):
        await house.a.add(3, promote=True, expected=house.first)
    with pytest.raises(AliasMoved):
        await house.a.store.promote("m", "pirate", house.first, "ann", expected=house.first)


async def test_a_change_begins_anew_when_another_host_was_quicker(house):
    """Both are carried out, one after the other."""
    house.commons.meanwhile.append(lambda: asyncio.run(house.b.add(2, promote=True)))
    await house.a.store.pin("m", "pirate", house.first)
    assert await same(house.a, house.b)
    assert [(each.current, each.pinned) for each in await house.a.store.revisions()] == [(False, True), (True, False)]


async def test_who_is_always_overtaken_gives_up(house):
    turns = count(1)
    bump = lambda: asyncio.run(house.b.store.pin("m", "pirate", house.first, pinned=bool(next(turns) % 2)))  # noqa: E731
    for _ in range(8):  # each of b's own changes comes to the list too
        house.commons.meanwhile += [bump, lambda: None]
    with pytest.raises(StoreBusy):
        await house.a.add(2, promote=True)


async def test_without_the_commons_nothing_changes_and_everything_can_be_read(house):
    house.commons.away = "gone"
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


async def test_an_addition_that_cannot_be_told_is_taken_back(house):
    """What `adding` does where `admit` fails."""
    house.commons.away = "gone"
    with pytest.raises(StoreAway):
        await house.a.add(2, promote=True)
    (left,) = (each for each in await house.a.store.revisions() if not each.current)
    await house.a.store.discard(left)
    house.commons.away = ""
    assert (await same(house.a, house.b), len(await house.a.store.revisions())) == (True, 1)


async def test_commons_that_were_lost_are_told_again(house):
    """By whoever looks first; and what was changed before anybody looked is not lost either."""
    before = await house.a.all()
    house.commons.flush()
    assert (await same(house.a, house.b), await house.b.all()) == (True, before)
    house.commons.flush()
    second = (await house.b.add(2, promote=True)).digest
    assert (await same(house.a, house.b), await house.a.at()) == (True, second)
    assert len(await house.a.store.revisions()) == 2


async def test_what_was_removed_stays_removed_when_the_commons_are_lost(house):
    """A host that was away and still has it does not bring it back."""
    await house.a.store.remove("m", "pirate", "ann")
    house.commons.flush()
    assert (await same(house.b, house.a, house.b), await house.b.at()) == (True, "")


async def test_commons_that_were_set_back_are_set_forth(house):
    """An older copy of Redis' memory, under the same generation: noticed when everything is compared."""
    entries, changed, mark = dict(house.commons.entries), dict(house.commons.changed), house.commons.mark
    second = (await house.a.add(2, promote=True)).digest
    house.commons.entries, house.commons.changed, house.commons.mark = entries, changed, mark
    again = await house.host("a")
    assert (await same(again, house.b), await house.b.at()) == (True, second)


async def test_a_host_that_joins_takes_the_names_and_keeps_its_own_revisions(house):
    """They are not shared until somebody promotes them."""
    joins = await house.host("c")
    house.commons.away = "not yet"
    with pytest.raises(StoreAway):
        await joins.add(7)
    house.commons.away = ""
    assert (await joins.follow(), await joins.at()) == ({}, house.first)
    own = next(each.digest for each in await joins.store.revisions() if each.digest != house.first)
    assert len(await house.a.store.revisions()) == 1
    await joins.store.promote("m", "pirate", own, "cid")
    assert (await same(house.a, house.b, joins), await house.a.at()) == (True, own)


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


async def test_where_no_folder_is_mounted_nothing_is_added(house):
    """And no folder is made."""
    shutil.rmtree(house.files)
    with pytest.raises(StoreAway, match="is it mounted"):
        await house.a.add(2, promote=True)
    assert (house.files.exists(), await house.a.at()) == (False, house.first)
    await house.a.store.remove("m", "pirate", "ann")
    assert ([*await house.b.follow()], await house.b.at()) == ([], "")


def test_a_folder_that_hangs_holds_one_thread(tmp_path):
    """Whoever comes after it is told."""
    depot = Depot(tmp_path, lambda: 0.0, patience=0.0)
    with depot._reached(), pytest.raises(StoreAway, match="does it hang"):
        depot.listed()
    assert depot.listed() == frozenset()


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
        house.commons.put(f"m:{number}", b"", b"nonsense")
    assert [len(await house.b.follow()) for _ in range(3)] == [100, 150, 150]


async def test_what_changed_in_a_look_that_was_broken_off_is_told(house):
    """Redis takes nothing for once, and what came before that is published all the same."""

    def refuse() -> None:
        raise StoreAway("read only")

    await house.a.add(2, adapter="amy")
    house.commons.entries.pop("m:pirate")
    again = await house.host("b")
    house.commons.meanwhile.append(refuse)
    found = await again.store.follow()
    assert (found.changed, found.troubles) == ((("m", "amy"),), {"": "read only"})
    found = await again.store.follow()
    assert (found.changed, found.troubles) == ((("m", "pirate"),), {})


async def test_nonsense_in_the_commons_changes_nothing(house):
    """It is said, and other adapters are followed."""
    house.commons.put("m:pirate", house.commons.get("m:pirate"), b'{"version": 9}')
    house.commons.put("../m:pirate", b"", b"{}")
    troubles = await house.b.follow()
    assert (sorted(troubles), await house.b.at()) == (["../m:pirate", "m:pirate"], house.first)
    with pytest.raises(StoreDamaged):
        await house.b.store.remove("m", "pirate", "bob")
    house.commons.entries = {}
    again = await house.host("a")
    assert (await again.follow(), "m:pirate" in house.commons.entries) == ({}, True)


async def test_what_no_host_needs_is_collected_everywhere(house):
    """What a worker of another host holds stays, and so does what is young in the shared folder."""
    second, third = [(await house.a.add(alpha)).digest for alpha in (2, 3)]
    assert await same(house.a, house.b)
    assert await house.b.store.collect({second}, NOTHING_KEPT)
    assert (await same(house.a, house.b), (house.files / "revisions" / third).is_dir()) == (True, True)
    assert [each.digest for each in await house.a.store.revisions()] == [house.first, second]
    house.a.later = 2 * 24 * 3600.0
    assert await house.a.store.collect((), NOTHING_KEPT) == ()
    kept = sorted(each.name for each in (house.files / "revisions").iterdir())
    assert kept == sorted([house.first, second])


async def test_a_hosts_own_revisions_are_collected_there(house):
    house.commons.away = "gone"
    with pytest.raises(StoreAway):
        await house.a.add(2)
    house.commons.away = ""
    (gone,) = await house.a.store.collect((), NOTHING_KEPT)
    assert (gone.current, await same(house.a, house.b)) == (False, True)
    with pytest.raises(StoreDamaged):
        await house.a.store.verify(gone)
