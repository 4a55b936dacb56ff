"""What the registry file says of adapters, made so; what nothing needs any more, removed."""

from __future__ import annotations

import shutil
from pathlib import Path

from engines.ledger.events import AdapterDeclined, AdapterTaken
from engines.ledger.sweeping import collect
from engines.store.keeping import Keep
from registry.adapter_orders import Adapted, AddAdapter, PromoteAdapter, SplitAdapter
from registry.adapters import Canary, Share, decode
from registry.room import AdaptersSpec
from registry.snapshot import ModelView
from registry.spec import ModelSpec, Registry
from tests.unit.engines.ledger.rig import Rig, crafted, rig
from tests.waiting import eventually


def adopt(made: Rig, **fields) -> None:
    room = AdaptersSpec(slots=2, max_rank=64, **fields)
    made.all.declared.adopt(Registry(models={"m": ModelSpec(source="./w", engine="vllm", adapters=room)}))


async def test_a_declared_adapter_is_there_before_the_first_worker_is_ready(tmp_path: Path) -> None:
    """And another source is what the name stands for, whatever was promoted by hand."""
    async with rig(tmp_path) as made:
        adopt(made, declared={"one": str(crafted(tmp_path, 8))}, pinned=["one"])
        await eventually(lambda: "m:one" in made.meanings())
        async with made.worker("a"):
            (first,) = made.resident("a")
            await made.added("one", 32, promote=True)
            adopt(made, declared={"one": str(crafted(tmp_path, 16))})
            await eventually(lambda: len(made.announced) == 2)
            assert made.meanings()["m:one"] == made.announced[1].digest
            assert first.endswith(made.announced[0].digest[:16])


async def test_a_declaration_that_is_carried_out_again_ends_no_split(tmp_path: Path) -> None:
    """Each start does so; what somebody promotes by hand ends it."""
    async with rig(tmp_path, "a", slots=4) as made:
        order = AddAdapter("m", "one", str(crafted(tmp_path, 8)), "registry", promote=True)
        await made.desk.obey(order, lambda _: None, later=True)
        other = (await made.added("one", 16)).partition("@")[2]
        canary = Canary((Share(made.meanings()["m:one"], 1), Share(other, 1)))
        assert isinstance(await made.desk.obey(SplitAdapter("m", "one", "ann", canary), lambda _: None), Adapted)
        await made.desk.obey(order, lambda _: None, later=True)
        (view,) = decode(bytes(made.board.snapshot.adapters))
        assert view.canary is not None
        await made.desk.obey(order, lambda _: None)
        (view,) = decode(bytes(made.board.snapshot.adapters))
        assert view.canary is None


async def test_one_that_is_refused_is_told_once_and_changes_nothing(tmp_path: Path) -> None:
    async with rig(tmp_path, "a") as made:
        broken = crafted(tmp_path, 8)
        (broken / "adapter_model.safetensors").write_bytes(b"x")
        adopt(made, declared={"one": str(broken), "two": str(crafted(tmp_path, 16))})
        await eventually(lambda: len(made.announced) == 2)
        assert {type(each) for each in made.announced} == {AdapterDeclined, AdapterTaken}
        assert set(made.meanings()) == {"m:two"}


async def test_what_is_put_into_a_watched_folder_is_promoted(tmp_path: Path) -> None:
    async with rig(tmp_path, "a", watch_every=0.01) as made:
        adopt(made, watch=str(tmp_path / "in"))
        shutil.copytree(crafted(tmp_path, 8), tmp_path / "in/pirate")
        await eventually(lambda: "m:pirate" in made.meanings())
        first = made.meanings()["m:pirate"]
        shutil.copytree(crafted(tmp_path, 16), tmp_path / "in/pirate", dirs_exist_ok=True)
        await eventually(lambda: made.meanings()["m:pirate"] != first)


async def test_what_no_worker_takes_out_of_a_watched_folder_is_tried_again(tmp_path: Path) -> None:
    """It is noted as taken only when it is settled."""
    async with rig(tmp_path, "a", watch_every=0.01, prepare_first=0.01) as made:
        made.hosts["a"].refuses = 1
        adopt(made, watch=str(tmp_path / "in"))
        shutil.copytree(crafted(tmp_path, 8), tmp_path / "in/pirate")
        await eventually(lambda: "m:pirate" in made.meanings())
        assert [type(each) for each in made.announced] == [AdapterDeclined, AdapterTaken]
        await eventually((tmp_path / "state/adapters/watched.json").exists)


async def test_what_is_loaded_is_never_collected(tmp_path: Path) -> None:
    """What no worker holds and no name needs goes, with its files."""
    async with rig(tmp_path, "a") as made:
        for alpha in (8, 16, 32):
            await made.added("one", alpha, promote=True)
        await collect(made.all.stock, made.ledger, Keep(last=1, seconds=0.0))
        held = {name.partition("@")[2] for name in made.resident("a")}
        kept = {path.name[:16] for path in (tmp_path / "state/adapters/revisions").iterdir()}
        assert kept == held | {made.meanings()["m:one"][:16]}
        gone = await made.desk.obey(PromoteAdapter("m", "one", "0" * 8, "ann"), lambda _: None)
        assert gone.status == 404


async def test_what_is_pinned_and_not_there_is_shown_until_it_is(tmp_path: Path) -> None:
    """And an adapter whose own name a model has taken, for as long as it has."""
    async with rig(tmp_path, "a") as made:
        row = made.board.row(ModelView("m", "vllm", "m"))
        made.board.show(row)
        adopt(made, pinned=["one"])
        row.trouble("one worker is away")
        (shown,) = made.board.snapshot.models
        assert ("one worker is away; 'one' is pinned" in shown.trouble, row.view.trouble) == (
            True,
            "one worker is away",
        )
        await made.added("one")
        assert made.board.snapshot.models[0].trouble == "one worker is away"
        room = AdaptersSpec(slots=2)
        taken = ModelSpec(source="./w", engine="vllm", adapters=room, aliases=["one"])
        made.all.declared.adopt(Registry(models={"m": taken}))
        assert "asked for as m:one" in made.board.snapshot.models[0].trouble
