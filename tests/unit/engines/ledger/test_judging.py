"""A split is judged by what all gateways say together, ended once, and never by what was said of another one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from registry.adapter_orders import Adapted, AdapterRefusal, Seen, SplitAdapter, Tried
from registry.adapters import Canary, Share
from tests.unit.engines.ledger.rig import Rig, rig

BAD = Seen(2, 2)
"""Half of what the rule wants before it judges."""


class Judged:
    """A rig with two revisions, and the split between them."""

    def __init__(self, made: Rig, one: str, other: str) -> None:
        self.made, self.one, self.other = made, one, other
        self.canary = Canary((Share(one, 1), Share(other, 1)), max_error_rate=0.5, min_requests=4)

    async def split(self, canary: Canary | None) -> None:
        assert isinstance(await self.obey(SplitAdapter("m", "cat", "ann", canary)), Adapted)

    async def obey(self, order: SplitAdapter) -> object:
        return await self.made.all.obey(order, lambda _: None)

    def told(self, seen: Seen, canary: Canary | None = None) -> SplitAdapter | None:
        return self.made.all.judged(Tried("m", "cat", canary or self.canary, {self.other: seen}))


@asynccontextmanager
async def judged(folder: Path) -> AsyncIterator[Judged]:
    async with rig(folder, "a") as made:
        one, other = [(await made.add("cat", alpha)).revision.digest for alpha in (8, 16)]
        case = Judged(made, one, other)
        await case.split(case.canary)
        yield case


async def test_what_several_gateways_saw_is_one_sum(tmp_path: Path) -> None:
    """Neither has seen enough alone. It is ended once, and says why."""
    async with judged(tmp_path) as case:
        assert case.told(BAD) is None
        end = case.told(BAD)
        assert end == SplitAdapter("m", "cat", "gateway", None, f"4 of 4 requests failed on {case.other[:16]}")
        assert case.told(BAD) is None
        assert isinstance(await case.obey(end), Adapted)
        assert case.made.all.stock.split("m", "cat") is None


async def test_one_that_could_not_be_ended_is_judged_again(tmp_path: Path) -> None:
    async with judged(tmp_path) as case:
        end = case.told(Seen(4, 4))
        case.made.all.stock.fault = "the disk is full"
        assert isinstance(await case.obey(end), AdapterRefusal)
        assert case.told(Seen()) == end


async def test_what_is_said_of_an_earlier_split_does_not_count(tmp_path: Path) -> None:
    async with judged(tmp_path) as case:
        before, case.canary = case.canary, msgspec.structs.replace(case.canary, min_requests=3)
        await case.split(case.canary)
        assert case.told(Seen(9, 9), before) is None
        assert case.told(BAD) is None
        assert case.told(BAD) is not None


async def test_one_that_ended_and_is_made_again_begins_from_nothing(tmp_path: Path) -> None:
    """In the very same words."""
    async with judged(tmp_path) as case:
        assert case.told(BAD) is None
        await case.split(None)
        await case.split(case.canary)
        assert case.told(BAD) is None


async def test_where_there_is_no_split_nothing_is_judged(tmp_path: Path) -> None:
    async with judged(tmp_path) as case:
        await case.split(None)
        assert case.told(Seen(9, 9)) is None
        assert case.made.all.judged(Tried("m", "dog", case.canary, {case.other: Seen(9, 9)})) is None
