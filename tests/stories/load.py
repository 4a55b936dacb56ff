"""Users who ask a house again and again while it is changed, for story tests."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from registry.snapshot import Swap
from tests.faults.client import Transcript, ask, post
from tests.faults.stage import CHAT, whole
from tests.stories.house import House
from tests.waiting import eventually

LONG = 60.0
TOKENS = 12
USERS = 4


class Load:
    """Users that ask again and again. `bad` holds every answer that was not whole, once and in order."""

    def __init__(self, running: House) -> None:
        self._port = running.port
        self._seeds = itertools.count(1)
        self._on = True
        self.bad: list[Transcript] = []
        self.good = 0

    async def use(self) -> None:
        while self._on:
            seed = next(self._seeds)
            body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": seed % 3 > 0, "seed": seed}
            heard = await ask(self._port, post(CHAT, body | {"x_fake": {"tokens": TOKENS, "itl": 0.02}}))
            if whole(heard, TOKENS, seed=seed):
                self.good += 1
            else:
                self.bad.append(heard)

    async def more(self) -> None:
        """Until every user has been served again."""
        before = self.good
        await eventually(lambda: self.bad or self.good >= before + USERS, within=LONG, what="answers")

    def stop(self) -> None:
        self._on = False


@asynccontextmanager
async def loaded(running: House) -> AsyncIterator[Load]:
    load = Load(running)
    async with asyncio.TaskGroup() as group:
        for _ in range(USERS):
            group.create_task(load.use())
        try:
            yield load
        finally:
            load.stop()


def swap(running: House, name: str = "m") -> Swap | None:
    return next((each for each in running.snapshot.swaps if each.model == name), None)


async def metric(running: House, name: str, value: float) -> bool:
    """Whether the gateway says so of this series."""
    async with httpx.AsyncClient(base_url=running.url, trust_env=False, timeout=LONG) as http:
        lines = (await http.get("/metrics")).text.splitlines()
    return f"{name} {value}" in lines
