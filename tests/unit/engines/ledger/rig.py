"""Workers that hold adapters, in memory, and everything of ours around them that is real: store, ledger, desk."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx

from engines.holds import Holds
from engines.ledger.placement import Bounds
from engines.ledger.site import Site
from engines.probe import Prober
from engines.store.adapters import Sharing
from engines.supervisor.board import Board
from engines.supervisor.lodgings import Lodgings, lodgings
from engines.supervisor.outlets import Clock
from engines.supervisor.pacing import Pacing
from engines.supervisor.settings import ServeSettings
from engines.vllm import VLLM
from registry.adapter_orders import Adapted, AdapterRefusal, AddAdapter
from registry.adapters import decode, served_as
from registry.room import AdaptersSpec
from registry.spec import ModelSpec, Registry
from tests import lora

AT_ONCE = Bounds(settle=0.0, residence=0.0, age=0.0, stuck=0.0)
PACING = Pacing(attend_every=0.01, load_first=0.01, load_longest=0.01, adapter_room=60.0, adapters=AT_ONCE)


class Host:
    """A vLLM in memory, as far as adapters concern it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.held: dict[str, str] = {}
        self.loads: Counter[str] = Counter()
        self.refuses = 0
        """So many loads more are answered 500."""
        self.dead = False
        self.gate = asyncio.Event()
        """Loads wait for it."""
        self.gate.set()
        self.dies_after_loading = False
        self.listing = asyncio.Event()
        """Lists of models wait for it, once they are made."""
        self.listing.set()
        self.asked = 0
        """For a list that waits."""

    async def answer(self, request: httpx.Request) -> httpx.Response:
        if self.dead:
            raise httpx.ConnectError("no", request=request) from ConnectionRefusedError(111)
        body = json.loads(request.content or b"{}")
        match request.url.path:
            case "/v1/load_lora_adapter":
                return await self._load(body)
            case "/v1/unload_lora_adapter":
                return httpx.Response(200 if self.held.pop(body["lora_name"], None) else 404)
            case "/v1/models":
                cards = [{"id": "m"}, *({"id": name, "parent": "m"} for name in self.held)]
                self.asked += not self.listing.is_set()
                await self.listing.wait()
                return httpx.Response(200, json={"data": cards})
        known = body["model"] in {"m", "n", *self.held}
        return httpx.Response(200, json={"choices": [{"text": "x"}]}) if known else httpx.Response(404)

    async def _load(self, body: dict[str, str]) -> httpx.Response:
        name = body["lora_name"]
        self.loads[name] += 1
        await self.gate.wait()
        if self.refuses:
            self.refuses -= 1
            return httpx.Response(500, json={"error": {"message": "out of memory"}})
        if name in self.held:
            return httpx.Response(400, json={"error": {"message": "already loaded"}})
        self.held[name] = body["lora_path"]
        self.dead = self.dies_after_loading
        return httpx.Response(200)


class Rig:
    """Invariant: `board.snapshot` is what gateways would know."""

    def __init__(self, folder: Path, pacing: Pacing, sharing: Sharing | None) -> None:
        self.folder = folder
        self.hosts: dict[str, Host] = {}
        self.holds = Holds()
        self.board = Board(lambda _: None)
        self._client = httpx.AsyncClient(transport=httpx.MockTransport(self._route))
        now = asyncio.get_running_loop().time
        settings = ServeSettings(folder / "r.yaml", state=folder / "state", cache=folder / "cache", env={})
        prober, self.announced = Prober(self._client), []
        clock, heard = Clock(now, now), self.announced.append
        self.all: Lodgings = lodgings(
            settings,
            board=lambda: self.board,
            holds=self.holds,
            prober=prober,
            clock=clock,
            pacing=pacing,
            announce=heard,
            sharing=sharing,
        )
        self.steward, self.desk, self.ledger = self.all.steward, self.all.desk, self.all.steward.ledger
        spec = ModelSpec(source="./weights", engine="vllm", adapters=AdaptersSpec(slots=2, max_rank=64))
        self.all.declared.adopt(Registry(models={"m": spec, "n": spec}))

    async def _route(self, request: httpx.Request) -> httpx.Response:
        return await self.hosts[request.url.host].answer(request)

    @asynccontextmanager
    async def worker(
        self, name: str, slots: int = 2, model: str = "m", host: Host | None = None
    ) -> AsyncIterator[Host]:
        """A worker that serves, for as long as it is entered."""
        host = self.hosts[name] = host or Host(name)
        site = Site(f"{name}.1", model, f"http://{name}", "", VLLM, slots, lambda: True, lambda: None)
        async with self.steward.lodging(site):
            yield host

    async def add(self, adapter: str, alpha: int = 8, model: str = "m", **fields) -> Adapted | AdapterRefusal:
        path = crafted(self.folder, alpha)
        return await self.desk.obey(AddAdapter(model, adapter, str(path), "ann", **fields), lambda _: None)

    async def added(self, adapter: str, alpha: int = 8, **fields) -> str:
        """The engines' name of what was added."""
        answer = await self.add(adapter, alpha, **fields)
        assert isinstance(answer, Adapted), answer
        return served_as("m", adapter, answer.revision.digest)

    def meanings(self) -> dict[str, str]:
        """What names stand for, as it is published."""
        return {f"{each.model}:{each.name}": each.current for each in decode(bytes(self.board.snapshot.adapters))}

    def resident(self, worker: str) -> tuple[str, ...]:
        return self.steward.resident(f"{worker}.1")


@asynccontextmanager
async def rig(
    folder: Path, *workers: str, slots: int = 2, sharing: Sharing | None = None, **pacing
) -> AsyncIterator[Rig]:
    """Everything runs, with these workers, until it is left."""
    made = Rig(folder, replace(PACING, **pacing), sharing)
    await made.all.stock.open()
    async with asyncio.TaskGroup() as group, AsyncExitStack() as stack:
        running = group.create_task(made.all.run())
        await asyncio.sleep(0)
        for name in workers:
            await stack.enter_async_context(made.worker(name, slots))
        try:
            yield made
        finally:
            running.cancel()


def crafted(folder: Path, alpha: int) -> Path:
    """A small adapter; another alpha is another revision."""
    place = folder / f"adapter-{alpha}"
    if not place.exists():
        lora.write(place, lora.config(r=1, lora_alpha=alpha), lora.tensors(layers=1, rank=1))
    return place
