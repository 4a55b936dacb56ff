"""Hosts that share their adapters: what one does all have, nothing is lost, and nothing is half done."""

from __future__ import annotations

import asyncio
from itertools import count

import pytest

from engines.store import entry
from engines.store.failures import AliasMoved, StoreAway, StoreBusy, StoreDamaged, StoreRefused
from engines.store.records import Why
from registry.adapters import Canary, Share
from tests.unit.engines.store.hosts import NOTHING_KEPT, same, two_hosts


@pytest.fixture
async def house(tmp_path):
    return await two_hosts(tmp_path)


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
    assert (await house.b.split()).split[1].digest == second
    await house.b.store.remove("m", "pirate", "bob")
    assert (await same(house.a, house.b), await house.a.at()) == (True, "")
    assert await house.a.split() is None
    assert [each.pinned for each in await house.a.store.revisions()] == [False, False]


async def test_promoting_what_the_name_stands_for_ends_a_split_everywhere(house):
    """It is published there, and the history says it."""
    split = Canary((Share(house.first, 1), Share((await house.a.add(2)).digest, 1)))
    await house.a.store.note_split("m", "pirate", "ann", split)
    assert (await same(house.a, house.b), await house.b.split()) == (True, split)
    await house.a.store.promote("m", "pirate", house.first, "bob")
    assert (await house.b.store.follow()).changed == (("m", "pirate"),)
    assert (await same(house.a, house.b), await house.b.split()) == (True, None)
    last = (await house.b.store.history("m", "pirate"))[-1]
    assert (last.who, last.why, last.now) == ("bob (the split ends)", Why.SPLIT, house.first)


async def test_a_revision_that_another_host_collects_meanwhile_is_not_split_on(house):
    """Requests for it could never be answered, and no host would take the entry."""
    split = Canary((Share(house.first, 1), Share((await house.a.add(2)).digest, 1)))
    assert await same(house.a, house.b)
    house.annals.meanwhile.append(lambda: asyncio.run(house.b.store.collect((), NOTHING_KEPT)))
    with pytest.raises(StoreRefused, match="there is no"):
        await house.a.store.note_split("m", "pirate", "ann", split)
    assert (await same(house.a, house.b), await house.a.split()) == (True, None)


async def test_a_change_whose_answer_is_lost_is_done_all_the_same(house):
    """By whoever was killed, or cut off, behind it: the next look takes it over, with its files."""
    house.annals.afterwards = "broken"
    with pytest.raises(StoreAway, match="broken"):
        await house.a.add(2, promote=True)
    (late,) = [each for each in await house.a.store.revisions() if not each.current]
    await house.a.store.discard(late)
    assert (await same(house.a, house.b), await house.a.at()) == (True, late.digest)
    assert (await house.a.store.verify(late)).is_dir()


async def test_a_split_that_was_overtaken_is_not_put(house):
    """What was decided later counts, whoever comes to its end first."""
    split = Canary((Share(house.first, 1), Share((await house.a.add(2)).digest, 1)))
    await house.a.store.note_split("m", "pirate", "ann", split)
    older = entry.decode("m:pirate", house.annals.get("m:pirate"))
    await house.a.store.note_split("m", "pirate", "ann")
    assert await same(house.a, house.b)
    house.b.store._book._take(older)
    assert await house.b.split() is None


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
    house.annals.meanwhile.append(lambda: asyncio.run(house.b.add(2, promote=True)))
    await house.a.store.pin("m", "pirate", house.first)
    assert await same(house.a, house.b)
    assert [(each.current, each.pinned) for each in await house.a.store.revisions()] == [(False, True), (True, False)]


async def test_who_is_always_overtaken_gives_up(house):
    turns = count(1)
    bump = lambda: asyncio.run(house.b.store.pin("m", "pirate", house.first, pinned=bool(next(turns) % 2)))  # noqa: E731 - one line says it all
    for _ in range(8):  # each of b's own changes comes to the list too
        house.annals.meanwhile += [bump, lambda: None]
    with pytest.raises(StoreBusy):
        await house.a.add(2, promote=True)


async def test_annals_that_were_lost_are_told_again(house):
    """By whoever looks first; and what was changed before anybody looked is not lost either."""
    before = await house.a.all()
    house.annals.flush()
    assert (await same(house.a, house.b), await house.b.all()) == (True, before)
    house.annals.flush()
    second = (await house.b.add(2, promote=True)).digest
    assert (await same(house.a, house.b), await house.a.at()) == (True, second)
    assert len(await house.a.store.revisions()) == 2


async def test_what_was_removed_stays_removed_when_the_annals_are_lost(house):
    """A host that was away and still has it does not bring it back."""
    await house.a.store.remove("m", "pirate", "ann")
    house.annals.flush()
    assert (await same(house.b, house.a, house.b), await house.b.at()) == (True, "")


async def test_annals_that_were_set_back_are_set_forth(house):
    """An older copy of Redis' memory, under the same generation: noticed when everything is compared."""
    entries, changed, mark = dict(house.annals.entries), dict(house.annals.changed), house.annals.mark
    second = (await house.a.add(2, promote=True)).digest
    house.annals.entries, house.annals.changed, house.annals.mark = entries, changed, mark
    again = await house.host("a")
    assert (await same(again, house.b), await house.b.at()) == (True, second)


async def test_a_host_that_joins_takes_the_names_and_keeps_its_own_revisions(house):
    """They are not shared until somebody promotes them."""
    joins = await house.host("c")
    house.annals.away = "not yet"
    with pytest.raises(StoreAway):
        await joins.add(7)
    house.annals.away = ""
    assert (await joins.follow(), await joins.at()) == ({}, house.first)
    own = next(each.digest for each in await joins.store.revisions() if each.digest != house.first)
    assert len(await house.a.store.revisions()) == 1
    await joins.store.promote("m", "pirate", own, "cid")
    assert (await same(house.a, house.b, joins), await house.a.at()) == (True, own)


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
    house.annals.away = "gone"
    with pytest.raises(StoreAway):
        await house.a.add(2)
    house.annals.away = ""
    (gone,) = await house.a.store.collect((), NOTHING_KEPT)
    assert (gone.current, await same(house.a, house.b)) == (False, True)
    with pytest.raises(StoreDamaged):
        await house.a.store.verify(gone)
