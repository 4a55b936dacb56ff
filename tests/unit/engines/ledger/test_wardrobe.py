"""What workers are started with, and what they are not started with again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from engines.launchers.launcher import Seat
from engines.lmdeploy import LMDEPLOY
from registry.adapter_orders import AddAdapter, RemoveAdapter
from registry.spec import ModelSpec
from tests.unit.engines.ledger.rig import Rig, rig


def outfit(made: Rig, slots: int = 2, coming: frozenset[str] | None = None) -> frozenset[str]:
    return made.steward.outfit("m", slots, coming).names


async def test_workers_are_started_with_what_names_stand_for_then_with_earlier_revisions(tmp_path: Path) -> None:
    """As many as there are slots."""
    async with rig(tmp_path, "a") as made:
        first = await made.added("one")
        second = await made.added("one", 16, promote=True)
        other = await made.added("two", 32)
        found = [outfit(made, slots) for slots in (4, 2, 1)]
        assert found == [{first, second, other}, {second, other}, {other}]


async def test_only_orders_change_what_workers_are_started_with(tmp_path: Path) -> None:
    """Not what is asked for more: that would replace workers without end."""
    async with rig(tmp_path, "a", slots=1) as made:
        await made.added("one")
        before = outfit(made, 1)
        older = await made.added("two", 16)
        after = outfit(made, 1)
        made.ledger.used("a.1", older)
        assert (before == after, outfit(made, 1)) == (False, after)
        await made.desk.obey(RemoveAdapter("m", "two", "ann"), lambda _: None)
        assert outfit(made, 1) == before


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
