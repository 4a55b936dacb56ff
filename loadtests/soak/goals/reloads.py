"""The registry is edited and read again very often while streams run: nobody notices."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from pathlib import Path
from typing import Final

import httpx

from loadtests.soak.goals.goal import Finding, Findings
from tests.faults.client import Transcript, ask, post
from tests.faults.stage import CHAT, whole
from tests.stories.house import answered, house, registry

RELOADS: Final = 1000
STREAMS: Final = 200
TOKENS: Final = 40
PACE: Final = 0.1
_WAIT: Final = 120.0


async def run(scale: float) -> Findings:
    """Another alias and another limit each time; every 20th edit adds a model, which the next one takes away."""
    reloads, streams = max(10, round(RELOADS * scale)), max(10, round(STREAMS * scale))
    with tempfile.TemporaryDirectory(prefix="eh-") as folder:
        path = registry(Path(folder), m={})
        async with house(path) as running:
            first = await running.ready(within=_WAIT)
            await answered(running, "m")
            over, seeds, heard = asyncio.Event(), itertools.count(1), list[tuple[int, Transcript]]()

            async def stream() -> None:
                while not over.is_set():
                    seed = next(seeds)
                    body = {"model": "m", "messages": [], "stream": True, "seed": seed}
                    heard.append((seed, await ask(running.port, post(CHAT, body | {"x_fake": _SCRIPT}))))

            async with asyncio.TaskGroup() as group:
                for _ in range(streams):
                    group.create_task(stream())
                refused = await _edited(Path(folder), running.url, reloads)
                over.set()
            bad = sum(not whole(each, TOKENS, seed=seed) for seed, each in heard)
            return [
                Finding(f"of {reloads:,} reloads, refused", refused + len(running.said("ReloadRefused"))),
                Finding(f"of {len(heard):,} streams, not whole", bad),
                Finding("workers replaced", float(running.worker().id != first.id)),
                Finding("edits not in force at the end", float(running.model().aliases != (f"a{reloads - 1}",))),
            ]


_SCRIPT: Final = {"tokens": TOKENS, "itl": PACE}


async def _edited(folder: Path, url: str, count: int) -> int:
    """How many of the reloads were refused."""
    refused = 0
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=_WAIT) as http:
        for number in range(count):
            other = {"n": {"urls": ["http://127.0.0.1:9"], "launcher": "external"}} if number % 20 == 10 else {}
            registry(folder, m={"aliases": [f"a{number}"], "queue": {"limit": 1000 + number}}, **other)
            refused += (await http.post("/admin/reload")).status_code != 200
    return refused
