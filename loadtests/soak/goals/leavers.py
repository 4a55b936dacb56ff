"""Clients that leave, thousands of them: how soon their workers are free, and what those who stay notice of it.

The short form is `tests/faults/test_client_leaves.py`, which leaves in the same ways.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from typing import Final

from loadtests.soak.crew import Crew, Limits
from loadtests.soak.goals.goal import Finding, Findings
from tests import processes
from tests.faults.client import ask, calling
from tests.faults.stage import SEED, bugs, in_turns, request, together, whole
from tests.processes import Gateway

CLIENTS: Final = 10_000
ABORTED: Final = 0.2
"""Seconds until the worker is free, for 99 in 100."""
_WIDE: Final = 60
_AFTER: Final = 500
_RATE: Final = 100.0
_TOKENS: Final = 4


async def run(scale: float) -> Findings:
    """Leave; then a hundred requests a second, as before it."""
    clients, after = round(CLIENTS * scale), max(50, round(_AFTER * scale))
    with contextlib.ExitStack() as opened:
        gateway = opened.enter_context(processes.gateway(opened.enter_context(processes.short_folder())))
        crew = opened.enter_context(Crew(gateway, SEED, limits=Limits.of(scale)))
        before, failed = await _served(gateway, after)
        await in_turns(clients, _WIDE, lambda seed: _left(gateway, seed))
        left = await crew.left()
        since, lost = await _served(gateway, after)
        slow = _aborts_beyond(gateway, ABORTED)
        return [
            Finding("requests of those who stay that failed", failed + lost),
            Finding(f"left behind {left or ''}", len(left)),
            Finding(f"% of the aborts that took longer than {ABORTED:g} s", slow * 100, 1.0, measured=True),
            Finding("p99 after it, x before", since / before, 2.0, measured=True),
            Finding("bugs logged", float(bool(bugs(gateway)))),
        ]


async def _left(gateway: Gateway, seed: int) -> None:
    chance = random.Random(SEED * CLIENTS + seed)
    stream = chance.random() < 0.7
    async with calling(gateway.port, request(stream=stream, seed=seed, tokens=1000, ttft=0.005, itl=0.002)) as said:
        if stream and chance.random() < 0.6:
            await said.hear(events=chance.randrange(1, 10))
        else:
            await asyncio.sleep(chance.random() * 0.03)
        said.leave(reset=chance.random() < 0.5)


async def _served(gateway: Gateway, count: int) -> tuple[float, int]:
    """The p99 in seconds of requests that come at a steady rate, and how many failed."""
    began = time.monotonic()

    async def one(seed: int) -> tuple[float, bool]:
        await asyncio.sleep(max(0.0, began + seed / _RATE - time.monotonic()))
        asked = time.monotonic()
        good = whole(await ask(gateway.port, request(stream=False, seed=seed, tokens=_TOKENS)), _TOKENS, seed=seed)
        return time.monotonic() - asked, good

    took = await together(one(seed) for seed in range(count))
    return sorted(seconds for seconds, _ in took)[int(count * 0.99)], sum(not good for _, good in took)


def _aborts_beyond(gateway: Gateway, seconds: float) -> float:
    """The share of the aborts that took longer, by the histogram's nearest bound at or above."""
    lines = gateway.client.get("/metrics", headers={"authorization": "Bearer admin-key"}).text.splitlines()
    buckets = [line for line in lines if line.startswith("enginehouse_abort_seconds_bucket")]
    counts = [(float(line.split('le="')[1].split('"')[0]), float(line.rsplit(" ", 1)[1])) for line in buckets]
    within = next(count for bound, count in sorted(counts) if bound >= seconds)
    return 1 - within / max(1.0, *(count for _, count in counts))
