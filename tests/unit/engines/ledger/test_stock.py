"""What is published is what the store has now, whoever has changed it, and in whatever order the news come."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace

from engines.ledger.splitting import Splitting
from engines.ledger.stock import Stock
from engines.store.dossier import Dossier
from engines.store.records import Revision
from registry.adapter_orders import SplitAdapter
from registry.adapters import Canary, Share, decode
from tests.unit.engines.store.hosts import Host, two_hosts


class Overtaken:
    """A host's store, on which what it notes is at once undone by another host, and followed."""

    def __init__(self, mine: Host, other: Host) -> None:
        self.find, self.standing, self._mine, self._other = mine.store.find, mine.store.standing, mine, other

    async def note_split(self, model: str, adapter: str, who: str, canary: Canary | None, _: str) -> None:
        await self._mine.store.note_split(model, adapter, who, canary)
        await self._other.store.note_split(model, adapter, "bob", None)
        await self._mine.follow()


class Slow:
    """A store whose first answer is long on its way."""

    def __init__(self) -> None:
        self.asked, self.goes_on, self.current = asyncio.Event(), asyncio.Event(), "a" * 64

    async def standing(self, model: str, adapter: str) -> Dossier:
        digest, first = self.current, not self.asked.is_set()
        self.asked.set()
        if first:
            await self.goes_on.wait()
        kept = Revision(model, adapter, digest, "", "ann", 1.0, 1, "", 1, current=True)
        return Dossier(model, adapter, (kept,))


async def test_a_split_that_another_host_has_ended_meanwhile_is_not_put_again(tmp_path: Path) -> None:
    """Its end is in the rows before whoever made it comes to tell of it."""
    house, said = await two_hosts(tmp_path), []
    second = (await house.a.add(2)).digest
    stock = Stock(Overtaken(house.a, house.b), said.append)

    async def proved(*_: object) -> dict[str, str]:
        return {}

    canary = Canary((Share(house.first, 1), Share(second, 1)))
    order = SplitAdapter("m", "pirate", "ann", canary)
    await Splitting(stock, SimpleNamespace(proved_again=proved)).split(order, "m", lambda _: None)
    (view,) = decode(said[-1])
    assert (view.canary, stock.split("m", "pirate"), await house.a.split()) == (None, None, None)


async def test_what_was_read_later_is_published_last() -> None:
    """An order here, and what another host did: both have the same adapter read again."""
    store, said = Slow(), []
    stock = Stock(store, said.append)
    async with asyncio.TaskGroup() as group:
        group.create_task(stock.refresh("m", "cat"))
        await store.asked.wait()
        store.current = "b" * 64
        later = group.create_task(stock.refresh("m", "cat"))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not later.done()
        store.goes_on.set()
    assert stock.current("m", "cat").digest == decode(said[-1])[0].current == "b" * 64
