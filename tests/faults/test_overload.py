"""More than the workers can do: row 16 of the fault matrix."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass, field

from registry.snapshot import QueueLimits
from tests.faults.client import Transcript, ask
from tests.faults.stage import Measure, Pair, in_turns, refused, request, together, whole
from tests.processes import model

SLOTS = 4
"""Requests that each of the two workers runs at once."""
SERVICE = 0.2
"""Seconds that each takes."""
RATE = 10 * 2 * SLOTS / SERVICE
"""Requests a second: ten times what the two can serve."""
SECONDS = 3.0
LIMIT = 16


@dataclass
class Outcome:
    """What became of the requests, and how long each took in seconds."""

    good: list[float] = field(default_factory=list)
    shed: list[float] = field(default_factory=list)
    wrong: list[Transcript] = field(default_factory=list)


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


async def one(pair: Pair, seed: int, outcome: Outcome) -> None:
    began = time.perf_counter()
    heard = await ask(pair.port, request(stream=seed % 2 == 0, seed=seed))
    taken = time.perf_counter() - began
    if whole(heard, seed=seed):
        outcome.good.append(taken)
    elif heard.status == 429 and refused(heard, 429, "queue_full") and int(heard.headers["retry-after"]) >= 1:
        outcome.shed.append(taken)
    else:
        outcome.wrong.append(heard)


async def storm(pair: Pair, outcome: Outcome) -> float:
    """`RATE` requests a second for `SECONDS`, whatever becomes of them; good answers a second."""
    began = time.perf_counter()

    async def later(number: int) -> None:
        await asyncio.sleep(max(0.0, began + number / RATE - time.perf_counter()))
        await one(pair, number, outcome)

    await together(later(number) for number in range(int(RATE * SECONDS)))
    return len(outcome.good) / (time.perf_counter() - began)


async def test_ten_times_too_much_is_shed_and_the_rest_is_served(pair: Pair, measured: Measure):
    """Row 16: each is answered whole or shed with `Retry-After`; the workers are kept busy; then all is well."""
    for worker in (pair.first, pair.second):
        worker.script(ttft=SERVICE)
    views = [worker.view(capacity=SLOTS) for worker in (pair.first, pair.second)]
    pair.gateway.publish(model(*views, queue=QueueLimits(limit=LIMIT)))
    peak, overload, after = Outcome(), Outcome(), Outcome()
    began = time.perf_counter()
    await in_turns(80, 2 * SLOTS, lambda seed: one(pair, seed, peak))
    best = len(peak.good) / (time.perf_counter() - began)
    goodput = await storm(pair, overload)
    await in_turns(40, 4, lambda seed: one(pair, seed, after))
    assert (peak.wrong, peak.shed, overload.wrong, after.wrong, after.shed) == ([], [], [], [], [])
    assert overload.shed
    assert len(overload.good) >= 2 * SLOTS + LIMIT  # at least those for whom there was room at once
    share = f"{goodput / best:.0%} of peak goodput"
    inside = [float(each) / 1e3 for each in re.findall(r"ms=([\d.]+) .*code=queue_full", pair.gateway.log)]
    measured("16", f"shed, p99 of {len(overload.shed)} by the gateway's own log ({share})", percentile(inside, 0.99))
    measured("16", "shed, p99 as this client, which is overloaded itself, saw it", percentile(overload.shed, 0.99))
    measured("16", f"answered in the storm, p99 of {len(overload.good)}", percentile(overload.good, 0.99))
    measured("16", "answered right after it, p99", percentile(after.good, 0.99))
    assert pair.gateway.metric("enginehouse_queue_depth") == 0
