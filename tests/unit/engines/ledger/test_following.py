"""What other hosts do is known here, loaded here, and said where it cannot be followed."""

from __future__ import annotations

import asyncio
import threading
from itertools import count
from types import SimpleNamespace

import pytest

from engines.ledger.events import AdaptersApart, AdaptersTogether
from engines.ledger.following import Following
from engines.ledger.stock import Stock
from engines.store.adapters import AdapterStore
from engines.store.dossier import Dossier
from engines.store.failures import StoreFailed
from registry.adapters import decode
from tests.unit.engines.ledger.rig import rig
from tests.unit.engines.store.hosts import Host, MemoryAnnals


@pytest.fixture
async def here(tmp_path):
    """A host that follows, and another one."""
    annals, clock, files = MemoryAnnals(), count(1000), tmp_path / "files"
    files.mkdir()
    mine = Host(tmp_path / "mine", annals, files, clock)
    made = SimpleNamespace(annals=annals, catalogue=[], said=[], announced=[])
    made.other = await Host(tmp_path / "other", annals, files, clock).open()
    made.stock = Stock(mine.store, made.catalogue.append)
    await made.stock.open()
    async with rig(tmp_path / "rig") as made.rig:
        steward = made.rig.steward
        made.following = Following(made.stock, steward, made.said.append, made.announced.append, 0.5)
        yield made


class Unreadable:
    """A store whose rows cannot be read for a while."""

    def __init__(self, store: AdapterStore) -> None:
        self.follow, self._standing, self.works = store.follow, store.standing, False

    async def standing(self, *names: str) -> Dossier:
        if not self.works:
            raise StoreFailed("the disk has a moment")
        return await self._standing(*names)


async def step(here) -> None:
    here.following._tell(await here.following.look())


async def test_what_another_host_has_promoted_is_published_and_wished_for(here):
    """So that it is loaded before somebody has to wait for it."""
    first = (await here.other.add(1)).digest
    await step(here)
    (known,) = decode(here.catalogue[-1])
    assert (known.name, known.current, here.said) == ("pirate", first, [])
    assert [each.adapter for each in here.rig.steward._demands.wishes("m")] == [f"m:pirate@{first[:16]}"]
    await here.other.store.remove("m", "pirate", "ann")
    await step(here)
    assert decode(here.catalogue[-1]) == ()


async def test_a_trouble_is_said_once_and_so_is_its_end(here):
    here.annals.away = "Redis is gone"
    await step(here)
    await step(here)
    here.annals.away = ""
    await step(here)
    assert (len(here.said), here.said[0].startswith("Redis is gone"), here.said[1]) == (2, True, "")
    assert here.announced == [AdaptersApart(here.said[0]), AdaptersTogether()]


async def test_what_could_not_be_read_is_read_after_the_next_look(here):
    """Although that one finds nothing new."""
    store = Unreadable(here.stock.store)
    stock = Stock(store, here.catalogue.append)
    following = Following(stock, here.rig.steward, here.said.append, here.announced.append, 0.5)
    await here.other.add(1)
    assert await following.look() == "the disk has a moment"
    store.works = True
    assert (await following.look(), [each.name for each in decode(here.catalogue[-1])]) == ("", ["pirate"])


async def test_of_many_changes_one_catalogue_is_published(here):
    """A host that joins is told of all adapters that there are."""
    for name in ("amy", "ben", "cid"):
        await here.other.add(1, adapter=name)
    before = len(here.catalogue)
    await step(here)
    assert (len(here.catalogue), len(decode(here.catalogue[-1]))) == (before + 1, 3)


async def test_a_bug_of_ours_is_said_and_the_next_look_goes_on(here):
    here.annals.meets = lambda: 1 / 0
    assert (await here.following.look()).startswith("a bug of ours: ZeroDivisionError")
    here.annals.meets = lambda: None
    assert await here.following.look() == ""


async def test_of_many_troubles_some_are_said(here):
    """By name; the others are counted."""
    for number in range(5):
        here.annals.put(f"m:a{number}", b"", b"nonsense")
    said = await here.following.look()
    assert ("m:a0 is not followed" in said, said.endswith("; and 2 more")) == (True, True)


async def test_a_look_that_takes_long_is_said_while_it_does(here):
    """And nothing piles up behind it."""
    answers, said = threading.Event(), asyncio.Event()
    here.annals.meets = answers.wait
    following = Following(here.stock, here.rig.steward, lambda _: said.set(), here.announced.append, 0.0, within=0.0)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(following.run())
        try:
            await said.wait()
            assert "the shared folder hangs" in here.announced[0].reason
        finally:
            answers.set()
            running.cancel()
