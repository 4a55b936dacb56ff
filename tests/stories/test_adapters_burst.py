"""Five hundred adapters added at once, to a running supervisor with a fake worker: all are answered, none is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path

from engines.supervisor import control
from registry import orders
from registry.adapter_orders import Adapted, AdapterRefusal, AddAdapter, ListAdapters, Listed, Told
from registry.adapters import Catalogue, served_as
from registry.snapshot import decode
from tests.stories.house import House, house, registry
from tests.stories.test_adapters import crafted, order
from tests.waiting import eventually

PATIENT = 240.0
MANY = 500


async def add(running: House, adapter: str, folder: Path) -> tuple[Adapted | AdapterRefusal, bytes]:
    """What is answered, and the snapshot that every gateway had been sent by then, encoded."""
    reader, writer = await asyncio.open_unix_connection(control.locate(running.state), limit=2**26)
    try:
        writer.write(orders.encode(AddAdapter("m", adapter, str(folder), "ann")))
        newest = b""
        while line := await asyncio.wait_for(reader.readline(), PATIENT):
            said = orders.answer(line)
            if said is None:
                newest = line
            elif not isinstance(said, Told):
                return said, newest
    finally:
        writer.close()
    raise AssertionError(adapter)


async def test_500_adds_in_a_burst_are_all_answered_and_published_whole(tmp_path: Path) -> None:
    """The issue's number. A name is published with its revision, when a worker holds it and has made a token."""
    folder, names = crafted(tmp_path), [f"n{number}" for number in range(MANY)]
    async with house(registry(tmp_path, m={"adapters": {"slots": MANY}})) as running:
        await running.ready(within=PATIENT)
        answers = await asyncio.gather(*(add(running, name, folder) for name in names))
        refused = [said for said, _ in answers if not isinstance(said, Adapted) or said.faults]
        assert refused == []
        for name, (said, newest) in list(zip(names, answers, strict=True))[::20]:
            snapshot = decode(newest)
            (view,) = [each for each in Catalogue(bytes(snapshot.adapters)).adapters if each.name == name]
            digest = said.revision.digest
            assert (view.current, view.revisions) == (digest, (digest,))
            assert served_as("m", name, digest) in snapshot.models[0].workers[0].resident
        listed = (await order(running, ListAdapters("m")))[1]
        assert isinstance(listed, Listed)
        assert {each.adapter for each in listed.revisions if each.current and each.workers} == set(names)
        await eventually(lambda: len(running.worker().resident) == MANY, within=PATIENT)
        assert running.said("WorkerLost") == []
