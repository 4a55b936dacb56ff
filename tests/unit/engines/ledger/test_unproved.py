"""What was proved on another host and makes no token here: it is said, not served, and in nobody's way."""

from __future__ import annotations

import json
import time
from itertools import count
from pathlib import Path

import httpx

from engines.store.depot import Depot
from engines.store.shared import SharedBook
from registry.adapter_orders import Want
from registry.adapters import served_as
from tests.unit.engines.ledger.rig import Host, rig
from tests.unit.engines.store.hosts import Host as OtherHost
from tests.unit.engines.store.hosts import MemoryAnnals
from tests.waiting import eventually


class Mute(Host):
    """It loads everything, and makes no token with one adapter."""

    mute = ""

    async def answer(self, request: httpx.Request) -> httpx.Response:
        if json.loads(request.content or b"{}").get("model") == self.mute:
            return httpx.Response(500, json={"error": {"message": "shapes do not fit"}})
        return await super().answer(request)


async def test_a_revision_that_is_not_proved_here_is_not_served_and_stops_no_other(tmp_path: Path) -> None:
    """Requests for its name hear why at once; its predecessor stays, and is meant again once another host goes back."""
    annals, files = MemoryAnnals(), tmp_path / "files"
    files.mkdir()
    other = await OtherHost(tmp_path / "other", annals, files, count(1000)).open()

    def sharing(*made: object) -> SharedBook:
        return SharedBook(*made, annals, Depot(files, time.time))  # noqa: TID251 (files have no other)

    async with (
        rig(tmp_path / "rig", sharing=sharing, follow_every=0.01, load_longest=60.0) as made,
        made.worker("w", slots=4, host=Mute("w")) as worker,
    ):
        first, second = [served_as("m", "pirate", each.digest) for each in (await other.add(1), await other.add(2))]
        await eventually(lambda: first in made.resident("w"))
        worker.mute = second
        await other.store.promote("m", "pirate", second.partition("@")[2], "bob")
        amy = served_as("m", "amy", (await other.add(3, adapter="amy")).digest)
        await eventually(lambda: amy in made.resident("w"))

        def given_up() -> bool:
            made.steward.heard(made, Want("m", second))
            return [each.adapter for each in made.board.snapshot.unloadable] == [second]

        await eventually(given_up)
        assert (second in made.resident("w"), first in made.resident("w")) == (False, True)
        assert second.endswith(made.meanings()["m:pirate"][:16])
        assert [said.partition(": it ")[0] for said in made.steward.remarks("w.1")] == [second]
        assert "makes no token" in made.board.snapshot.unloadable[0].reason
        await other.store.rollback("m", "pirate", "bob")
        await eventually(lambda: first.endswith(made.meanings()["m:pirate"][:16]))
