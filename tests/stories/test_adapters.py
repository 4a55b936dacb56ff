"""Adapters on a running supervisor with fake workers: added, proved, published, kept over every restart."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import msgspec

from engines.fake.words import verify
from engines.supervisor import control
from registry import orders
from registry.adapter_orders import (
    Adapted,
    AdapterRefusal,
    AddAdapter,
    ListAdapters,
    Listed,
    PromoteAdapter,
    RemoveAdapter,
    RollbackAdapter,
    Told,
)
from registry.adapters import decode, served_as
from registry.orders import Order
from tests import lora
from tests.faults.client import ask, calling, post
from tests.faults.stage import CHAT
from tests.faults.verify import text_of
from tests.stories.house import House, answered, house, registry
from tests.waiting import eventually

PATIENT = 120.0
ROOM = {"adapters": {"slots": 4}}


async def order(running: House, what: Order) -> tuple[list[Told], Adapted | Listed | AdapterRefusal]:
    """What the supervisor answers, and what it told before."""
    reader, writer = await asyncio.open_unix_connection(control.locate(running.state), limit=2**24)
    told: list[Told] = []
    try:
        writer.write(orders.encode(what))
        while line := await asyncio.wait_for(reader.readline(), PATIENT):
            said = orders.answer(line)
            if isinstance(said, Told):
                told.append(said)
            elif said is not None:
                return told, said
    finally:
        writer.close()
    raise AssertionError(told)


async def add(running: House, folder: Path, adapter: str = "pirate", **fields) -> Adapted | AdapterRefusal:
    return (await order(running, AddAdapter("m", adapter, str(folder), "ann", **fields)))[1]


def crafted(folder: Path, alpha: int = 8) -> Path:
    """A small adapter; another alpha is another revision."""
    return lora.write(folder / f"adapter-{alpha}", lora.config(r=1, lora_alpha=alpha), lora.tensors(layers=1, rank=1))


def stands_for(running: House, adapter: str = "pirate") -> str:
    """What the published catalogue says of a name; empty: nothing."""
    known = {each.name: each.current for each in decode(bytes(running.snapshot.adapters))}
    return known.get(adapter, "")


async def test_an_adapter_is_published_once_a_worker_has_made_a_token_with_it(tmp_path: Path) -> None:
    """Then a second revision, back again, and away; who did what is on record."""
    async with house(registry(tmp_path, m=ROOM)) as running:
        worker = await running.ready(within=PATIENT)
        told, first = await order(running, AddAdapter("m", "pirate", str(crafted(tmp_path)), "ann"))
        assert isinstance(first, Adapted), first
        digest = first.revision.digest
        assert ("loading it" in [each.step for each in told], first.revision.workers) == (True, (worker.id,))
        await eventually(lambda: stands_for(running) == digest, within=PATIENT)
        await eventually(lambda: running.worker().resident == (served_as("m", "pirate", digest),), within=PATIENT)
        second = (await add(running, crafted(tmp_path, 16), promote=True)).revision.digest
        await eventually(lambda: stands_for(running) == second, within=PATIENT)
        back = (await order(running, RollbackAdapter("m", "pirate", "bob")))[1]
        assert (back.revision.digest, back.revision.current) == (digest, True)
        listed = (await order(running, ListAdapters("m", "pirate")))[1]
        who = [(each.who, each.why) for each in listed.history]
        assert who == [("ann", "promote"), ("ann", "promote"), ("bob", "rollback")]
        assert (await order(running, RemoveAdapter("m", "pirate", "ann")))[1] == Adapted()
        await eventually(lambda: stands_for(running) == "", within=PATIENT)


async def test_a_killed_worker_has_its_adapters_back_before_it_is_ready(tmp_path: Path) -> None:
    """And so after the supervisor was killed."""
    path = registry(tmp_path, m=ROOM)
    async with house(path) as running:
        first = await running.ready(within=PATIENT)
        name = served_as("m", "pirate", (await add(running, crafted(tmp_path))).revision.digest)
        os.kill(first.pid, signal.SIGKILL)
        second = await running.ready(not_id=first.id, within=PATIENT)
        assert second.resident == (name,)
        running.process.kill()
        await running.process.wait()
    left = tmp_path / "state/uploads/0123.archive"  # of a gateway that was killed with it
    left.parent.mkdir(exist_ok=True)
    left.write_bytes(b"x")
    async with house(path) as again:
        assert (await again.ready(within=PATIENT)).resident == (name,)
        assert (served_as("m", "pirate", stands_for(again)), left.exists()) == (name, False)


async def test_what_cannot_be_served_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    """Unknown names, a damaged file, a moved name: each with its status."""
    broken = crafted(tmp_path, 2)
    (broken / "adapter_model.safetensors").write_bytes(b"x")
    async with house(registry(tmp_path, m=ROOM, bare={})) as running:
        await running.ready(within=PATIENT)
        before = msgspec.json.encode(running.snapshot.adapters)
        good = str(crafted(tmp_path))
        refused = [
            AddAdapter("m", "pirate", str(broken), "ann"),
            AddAdapter("nobody", "pirate", good, "ann"),
            AddAdapter("bare", "pirate", good, "ann"),
            AddAdapter("m", "pirate", good, "ann", base="0" * 64),
            PromoteAdapter("m", "pirate", "0" * 8, "ann"),
            RollbackAdapter("m", "pirate", "ann"),
            RemoveAdapter("m", "pirate", "ann"),
        ]
        said = [(await order(running, each))[1] for each in refused]
        assert [each.status for each in said] == [422, 404, 422, 409, 404, 404, 404]
        assert said[0].reasons == ("weights_damaged",)
        assert (msgspec.json.encode(running.snapshot.adapters), running.worker().resident) == (before, ())


async def test_more_adapters_than_slots_are_all_answered_and_no_stream_is_cut(tmp_path: Path) -> None:
    """One slot: what is asked for comes, what is used stays until its streams have ended (FAULTS 27)."""
    async with house(registry(tmp_path, m={"adapters": {"slots": 1}})) as running:
        await running.ready(within=PATIENT)
        first = served_as("m", "one", (await add(running, crafted(tmp_path), "one")).revision.digest)
        await answered(running, "m:one")
        slow = {"model": "m:one", "messages": [], "stream": True, "seed": 1, "x_fake": {"tokens": 60, "itl": 0.05}}
        async with calling(running.port, post(CHAT, slow)) as stream:
            await stream.hear(events=3)
            await add(running, crafted(tmp_path, 16), "two")
            heard = await stream.hear()
            assert (heard.done, heard.errors) == (1, [])
            assert verify(text_of(heard.events), key=1, voice=first) == 60
        for name in ("m:one", "m:two", "m:one", "two"):
            said = await ask(running.port, post(CHAT, {"model": name, "messages": []}))
            assert said.status == 200, said.body
            await eventually(lambda: len(running.worker().resident) == 1, within=PATIENT)
    assert running.said("WorkerLost") == []


async def test_a_model_on_demand_is_woken_to_prove_what_is_added(tmp_path: Path) -> None:
    asleep = ROOM | {"replicas": {"min": 0, "idle_after": "1h"}}
    async with house(registry(tmp_path, m=asleep)) as running:
        await eventually(running.model, within=PATIENT)
        assert running.model().workers == ()
        held = (await add(running, crafted(tmp_path))).revision.workers
        assert held == ((await running.ready(within=PATIENT)).id,)
