"""What workers are started with, and what they are not started with again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from engines.launchers.launcher import Seat
from engines.ledger.site import Site
from engines.lmdeploy import LMDEPLOY
from registry.adapter_orders import AdapterUse, AddAdapter, Demand, RemoveAdapter
from registry.spec import ModelSpec
from tests.unit.engines.ledger.rig import Host, Rig, rig


def outfit(made: Rig, slots: int = 2, coming: frozenset[str] | None = None, takes: float = 60.0) -> frozenset[str]:
    return made.steward.outfit("m", slots, coming, takes).names


async def test_workers_are_started_with_what_names_stand_for_then_with_earlier_revisions(tmp_path: Path) -> None:
    """As many as there are slots."""
    async with rig(tmp_path, "a") as made:
        first = await made.added("one")
        second = await made.added("one", 16, promote=True)
        other = await made.added("two", 32)
        found = [outfit(made, slots) for slots in (4, 2, 1)]
        assert found == [{first, second, other}, {second, other}, {other}]


async def test_only_orders_change_what_workers_are_started_with(tmp_path: Path) -> None:
    """Not what is used more: that would replace workers without end."""
    async with rig(tmp_path, "a", slots=1) as made:
        await made.added("one")
        before = outfit(made, 1)
        older = await made.added("two", 16)
        after = outfit(made, 1)
        made.ledger.used("a.1", older)
        assert (before == after, outfit(made, 1)) == (False, after)
        await made.desk.obey(RemoveAdapter("m", "two", "ann"), lambda _: None)
        assert outfit(made, 1) == before


@asynccontextmanager
async def dressed(made: Rig, *given: str) -> AsyncIterator[None]:
    """A worker that was started with these, for as long as it is entered."""
    host = made.hosts["b"] = Host("b")
    host.held = dict.fromkeys(given, "")
    site = Site("b.1", "m", "http://b", "", LMDEPLOY, 1, lambda: True, lambda: None, given=given)
    async with made.steward.lodging(site):
        yield


async def test_who_waits_has_workers_replaced_only_after_they_have_stayed_for_a_while(tmp_path: Path) -> None:
    """Two that are wanted by turns do not thrash; that one comes back soon is counted. Orders decide anew."""
    async with rig(tmp_path) as made:
        async with made.worker("a"):
            both = {await made.added("one"), await made.added("two", 16)}
        (present,) = outfit(made, 1)
        (other,) = both - {present}
        async with dressed(made, present):
            made.all.heard("gateway", AdapterUse({"m": {other: Demand(waiting=1), present: Demand(active=1)}}))
            assert (outfit(made, 1, takes=3600.0), outfit(made, 1, takes=0.0)) == ({present}, {other})
            assert outfit(made, 1, takes=0.0) == {other}
        async with dressed(made, other):
            made.all.heard("gateway", AdapterUse({"m": {present: Demand(waiting=1)}}))
            assert (outfit(made, 1, takes=3600.0), outfit(made, 1, takes=0.0)) == ({other}, {present})
        async with dressed(made, present):
            figures = made.board.snapshot.adapter_figures["m"]
            assert (figures.evictions, figures.returns) == (2, 1)
            await made.desk.obey(RemoveAdapter("m", present.partition("@")[0][2:], "ann"), lambda _: None)
            assert outfit(made, 1) == {other}


async def test_what_the_first_worker_is_started_with_is_not_disturbed(tmp_path: Path) -> None:
    """Unless it cannot be had any more."""
    async with rig(tmp_path, "a") as made:
        one = await made.added("one")
        coming = outfit(made)
        await made.added("two", 16)
        assert outfit(made, coming=coming) == coming
        await made.desk.obey(RemoveAdapter("m", "one", "ann"), lambda _: None)
        assert one not in outfit(made, coming=coming)


async def test_what_no_worker_comes_up_with_is_left_out_after_some_tries(tmp_path: Path) -> None:
    """What another worker has held is not to blame."""
    async with rig(tmp_path, "a") as made:
        good, bad = await made.added("one"), await made.added("two", 16)
        made.steward.wardrobe.proved(good)
        for found in ({good, bad}, {good, bad}, {good}):
            made.steward.lost(frozenset({good, bad}), "it crashed")
            assert outfit(made) == found
        assert made.steward.wardrobe.fault(bad) == "it crashed"
        assert made.steward.wardrobe.hopeless("m") == {bad: "it crashed"}


async def test_a_seat_is_packed_with_what_can_be_had(tmp_path: Path) -> None:
    """A damaged revision is left out, and so is one that was removed."""
    async with rig(tmp_path, "a") as made:
        good, bad = await made.added("one"), await made.added("two", 16)
        answer = await made.desk.obey(AddAdapter("m", "three", str(tmp_path / "adapter-8"), "ann"), lambda _: None)
        lost = f"m:three@{answer.revision.digest[:16]}"
        await made.desk.obey(RemoveAdapter("m", "three", "ann"), lambda _: None)
        damaged = made.all.stock.named(bad)
        for file in (tmp_path / "state/adapters/revisions" / damaged.digest).glob("*.safetensors"):
            file.chmod(0o600)
            file.write_bytes(b"x")
        seat = Seat("m", 0, ModelSpec(engine="lmdeploy", source="./w"), LMDEPLOY, None)
        packed = await made.steward.packed(replace(seat, outfit=frozenset({good, bad, lost})))
        assert (set(packed.adapters), bool(made.steward.wardrobe.fault(bad))) == ({good}, True)
