"""Memory, descriptors and gauges after very many requests: what is kept of a request that is over is a leak."""

from __future__ import annotations

import contextlib
from typing import Final

from loadtests.soak.crew import Crew, Limits
from loadtests.soak.goals.goal import Finding, Findings
from tests import processes
from tests.faults.client import ask, get
from tests.faults.stage import SEED, bugs, descriptors, in_turns, request, resident, whole
from tests.processes import Gateway
from tests.waiting import eventually

REQUESTS: Final = 100_000
GROWTH: Final = 1.0
"""MB that they may leave behind."""
_LEAK: Final = 10
"""Times that much is no noise of any machine."""
_WIDE: Final = 32
_KINDS: Final = 4
_PART: Final = 1000
_TOKENS: Final = 3


async def run(scale: float) -> Findings:
    """Streams, JSON, unknown models and `/v1/models`, by turns."""
    count = round(REQUESTS * scale)
    with contextlib.ExitStack() as opened:
        gateway = opened.enter_context(processes.gateway(opened.enter_context(processes.short_folder())))
        crew = opened.enter_context(Crew(gateway, SEED, limits=Limits.of(scale)))
        base = descriptors(gateway)
        failed = await _asked(gateway, count)
        before = resident(gateway)
        failed += await _asked(gateway, count)
        left = await crew.left()
        grown = (resident(gateway) - before) / 1e6
        await eventually(lambda: descriptors(gateway) <= base, what="no descriptor more than before")
        return [
            Finding("requests answered otherwise than they should", failed),
            *growth(grown, count, scale),
            Finding(f"left behind {left or ''}", len(left)),
            Finding("bugs logged", float(bool(bugs(gateway)))),
        ]


def growth(grown: float, count: int, scale: float) -> Findings:
    """What is to be said of so many MB more: a figure, and whether it is a leak on whatever machine."""
    limit = max(GROWTH, GROWTH * scale)
    return (
        Finding(f"MB more after {count:,} requests", grown, limit, measured=True),
        Finding("MB more, which is a leak", grown, _LEAK * limit),
    )


async def _asked(gateway: Gateway, count: int) -> int:
    """How many were not answered as they should."""

    async def one(seed: int) -> bool:
        kind = seed % _KINDS
        if kind == 0:
            return (await ask(gateway.port, get("/v1/models"))).status == 200
        if kind == 1:
            return (await ask(gateway.port, request(seed=seed).replace(b'"small"', b'"smell"'))).status == 404
        return whole(await ask(gateway.port, request(stream=kind == 2, seed=seed, tokens=_TOKENS)), _TOKENS, seed=seed)

    good: list[bool] = []
    while len(good) < count:  # not 100,000 tasks at once
        begun = len(good)
        good += await in_turns(min(_PART, count - begun), _WIDE, lambda number, begun=begun: one(begun + number))
    return good.count(False)
