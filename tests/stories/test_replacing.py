"""An engine that loads no adapters while it runs: its workers are replaced one by one, and nobody notices."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from engines.fake.words import verify
from registry.adapter_orders import AdapterRefusal
from registry.adapters import served_as
from tests.faults.client import ask, post
from tests.faults.stage import CHAT
from tests.faults.verify import text_of
from tests.stories.house import House, answered, house, registry
from tests.stories.load import LONG, loaded
from tests.stories.test_adapters import PATIENT, add, crafted, stands_for
from tests.unit.engines.memory.models import write
from tests.waiting import eventually

ROOM = {"engine": "lmdeploy", "replicas": 2, "balance": "round_robin", "adapters": {"slots": 4}}


async def says(running: House, digest: str, *, after: str = "") -> None:
    """The name is answered by this revision, once gateways know of it; until then by the one that served before it
    (`after`), without a refusal, and by nobody if there was none: never by the model itself.
    """
    body = {"model": "m:pirate", "messages": [], "stream": True, "seed": 1, "x_fake": {"tokens": 3}}
    voices = [served_as("m", "pirate", each) for each in (digest, after) if each]

    async def asked() -> bool:
        heard = await ask(running.port, post(CHAT, body))
        if not after and heard.status in {404, 503}:
            return False
        said = text_of(heard.events) if heard.status == 200 else ""
        assert [verify(said, key=1, voice=each) for each in voices if each in said] == [3], heard.body
        return voices[0] in said

    await eventually(asked, within=LONG, what=f"an answer of {voices[0]}")


async def holding(running: House, *digests: str) -> tuple[str, ...]:
    """The workers, once there are two that hold just these revisions, and nobody else."""
    names = tuple(sorted(served_as("m", "pirate", digest) for digest in digests))

    def look() -> bool:
        held = [each.resident for each in running.model().workers if each.state == "ready"]
        return held == [names] * 2 and len(running.model().workers) == 2 and not running.snapshot.leaving

    await eventually(look, within=PATIENT, what=f"{names}; {running.snapshot}")
    return tuple(each.id for each in running.model().workers)


async def test_an_adapter_comes_with_new_workers_and_no_request_is_lost(tmp_path: Path) -> None:
    """And so does its second revision; what serves meanwhile goes on, and is let go of first."""
    async with house(registry(tmp_path, m=ROOM)) as running:
        await running.ready(within=LONG)
        await answered(running, "m")
        before = await holding(running)
        async with loaded(running) as load:
            first = (await add(running, crafted(tmp_path))).revision.digest
            await eventually(lambda: stands_for(running) == first, within=LONG)
            await says(running, first)
            between = await holding(running, first)
            second = (await add(running, crafted(tmp_path, 16), promote=True)).revision.digest
            await eventually(lambda: stands_for(running) == second, within=LONG)
            await says(running, second, after=first)
            after = await holding(running, first, second)
            await load.more()
        lost = running.said("WorkerLost")
        os.kill(running.worker().pid, signal.SIGKILL)
        await eventually(lambda: not {each.id for each in running.model().workers}.issubset(after), within=LONG)
        assert after[1] in await holding(running, first, second)
    assert (len({*before, *between, *after}), lost) == (6, [])
    assert [str(each.body[-500:]) for each in load.bad] == []
    assert [len(running.said(event)) for event in ("Swapping", "CutShort", "ModelFailed")] == [0, 0, 0]


async def test_workers_that_do_not_come_up_with_it_leave_the_others_as_they_are(tmp_path: Path) -> None:
    """What was added is taken back, with the reason."""
    async with house(registry(tmp_path, m=ROOM | {"options": {"lmdeploy": {"adapter_status": 500}}})) as running:
        await running.ready(within=LONG)
        before = await holding(running)
        refused = await add(running, crafted(tmp_path))
        assert isinstance(refused, AdapterRefusal)
        assert (refused.status, refused.code) == (502, "adapter_not_loaded")
        assert "no LoRA adapter can be loaded" in refused.message
        assert (await holding(running), stands_for(running)) == (before, "")


async def test_where_memory_holds_one_worker_the_old_one_goes_first(tmp_path: Path) -> None:
    """`strategy: surge` refuses instead, and the old one stays."""
    layers = {"q": 576, "v": 192}
    heads = {f"model.layers.0.self_attn.{each}_proj.weight": width for each, width in layers.items()}
    write(tmp_path / "weights", **{name: ("BF16", [width, 576], width * 1152) for name, width in heads.items()})
    (tmp_path / "crowded").touch()
    one = ROOM | {"replicas": 1, "context": 64}
    async with house(registry(tmp_path, m=one | {"strategy": "surge"})) as running:
        before = await running.ready(within=PATIENT)
        refused = await add(running, crafted(tmp_path))
        assert (refused.status, running.worker().id) == (502, before.id)
        assert "not enough memory" in refused.message
    async with house(registry(tmp_path, m=one)) as running:
        await running.ready(within=PATIENT)
        await says(running, (await add(running, crafted(tmp_path))).revision.digest)
        assert len(running.model().workers) == 1


async def test_with_one_slot_and_room_for_one_worker_everybody_waits_for_the_replacement(tmp_path: Path) -> None:
    """Two adapters are asked for by turns, and the model itself all the time: each is answered by whom it asked for."""
    layers = {"q": 576, "v": 192}
    heads = {f"model.layers.0.self_attn.{each}_proj.weight": width for each, width in layers.items()}
    write(tmp_path / "weights", **{name: ("BF16", [width, 576], width * 1152) for name, width in heads.items()})
    (tmp_path / "crowded").touch()
    one = ROOM | {"replicas": 1, "context": 64, "adapters": {"slots": 1}, "queue": {"wait": f"{PATIENT:g}s"}}
    async with house(registry(tmp_path, m=one)) as running:
        await running.ready(within=PATIENT)
        await answered(running, "m")
        async with loaded(running) as load:
            digests = {each: (await add(running, crafted(tmp_path, alpha), each)).revision.digest
                       for each, alpha in (("one", 8), ("two", 16))}  # fmt: skip
            for each in ("one", "two", "one"):
                voice = served_as("m", each, digests[each])
                heard = await ask(running.port, post(CHAT, {"model": f"m:{each}", "messages": []}))
                assert (heard.status, voice in str(heard.json)) == (200, True), heard.body
            await load.more()
        figures = running.snapshot.adapter_figures["m"]
    assert [(each.status, str(each.body[-500:])) for each in load.bad] == []
    assert (figures.loads >= 4, figures.evictions >= 3, running.said("WorkerLost")) == (True, True, [])
