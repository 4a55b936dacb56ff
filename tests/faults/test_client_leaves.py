"""Clients leave at random, ten thousand of them: row 14 of the fault matrix, and what issue B promises about it.

Each phase by itself is in `tests/stories/test_disconnect.py`; leaving during a retry is in `test_worker_dies.py`.
"""

from __future__ import annotations

import asyncio
import random
import time

import pytest

from registry.snapshot import QueueLimits
from tests.faults.client import ask, calling
from tests.faults.stage import (
    SEED,
    Measure,
    Pair,
    bugs,
    descriptors,
    in_turns,
    request,
    resident,
    timed,
    whole,
)
from tests.processes import model
from tests.waiting import eventually

MANY = 10_000
WIDE = 60
"""Clients at a time; the workers run 30 at a time, so that half of them wait in the queue."""
MEGABYTE = 1_000_000


async def leave_somewhere(pair: Pair, seed: int) -> None:
    """Ask, and go before the end, by FIN or RST: at once, queued, before the first token, in mid-stream, or as JSON."""
    chance = random.Random(SEED * MANY + seed)
    stream = chance.random() < 0.7
    wire = request(stream=stream, seed=seed, tokens=1000, ttft=0.005, itl=0.002)
    if chance.random() < 0.1:
        wire = wire[: chance.randrange(len(wire))]
        stream = False
    async with calling(pair.port, wire) as conversation:
        if stream and chance.random() < 0.6:
            await conversation.hear(events=chance.randrange(1, 10))
        else:
            await asyncio.sleep(chance.random() * 0.03)
        conversation.leave(reset=chance.random() < 0.5)


async def nothing_is_left(pair: Pair) -> None:
    workers = (pair.first, pair.second)
    gauges = ("enginehouse_inflight_requests", "enginehouse_queue_depth")
    await eventually(lambda: sum(pair.gateway.metric(name) for name in gauges) == 0, what="gauges at zero")
    await eventually(
        lambda: all(worker.counts()["running"] == worker.counts()["waiting"] == 0 for worker in workers),
        what="idle workers",
    )


@pytest.mark.timeout(900)
async def test_ten_thousand_leave_and_nothing_is_left(pair: Pair, measured: Measure):
    """Every gauge at zero, descriptors and memory as before, no bug in the log; then a request is answered as ever."""
    dead = pair.first.view(id="dead", url="http://127.0.0.1:1")
    views = [worker.view(capacity=15) for worker in (pair.first, pair.second)]
    pair.gateway.publish(model(dead, *views, queue=QueueLimits(limit=1000)))
    base = descriptors(pair.gateway)
    await in_turns(1000, WIDE, lambda seed: leave_somewhere(pair, MANY + seed))
    await nothing_is_left(pair)
    warm = resident(pair.gateway)
    with timed(measured, "14", "10,000 clients that left, all together"):
        await in_turns(MANY, WIDE, lambda seed: leave_somewhere(pair, seed))
    with timed(measured, "14", "until every gauge was at zero"):
        await nothing_is_left(pair)
    # Connections to the workers that were kept for the next request close when nobody comes (4 s).
    await eventually(lambda: descriptors(pair.gateway) <= base, what="no descriptor more than before")
    grown = resident(pair.gateway) - warm
    # The heap settles at some six to twelve more within 15,000 (measured), and stays there.
    assert grown < 24 * MEGABYTE, f"{grown / MEGABYTE:.1f} MB more after 10,000 disconnects"
    aborts = pair.gateway.metric("enginehouse_abort_seconds_count")
    measured("14", f"mean of {aborts:.0f} aborts", pair.gateway.metric("enginehouse_abort_seconds_sum") / aborts)
    assert bugs(pair.gateway) == ""
    assert whole(await ask(pair.port, request(seed=1)), seed=1)


async def test_a_worker_is_free_soon_after_its_client_left(pair: Pair, measured: Measure):
    """Row 14: 200 ms are promised; told here as the worker itself counts it, the test's own polling included."""
    pair.gateway.publish(model(pair.first))
    slowest = 0.0
    for number in range(20):
        async with calling(pair.port, request(stream=number % 2 == 0, ttft=60)) as conversation:
            await eventually(lambda: pair.first.counts()["running"] == 1, what="a running request")
            began = time.perf_counter()
            conversation.leave(reset=number % 3 == 0)
            await eventually(lambda: pair.first.counts()["running"] == 0, what="an idle worker")
            slowest = max(slowest, time.perf_counter() - began)
    measured("14", "slowest of 20 aborts, seen at the worker", slowest)
