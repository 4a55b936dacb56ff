"""Connections that are kept open and say nothing cost a gateway some memory each, and those who speak nothing at all.

Each has asked once: one that never says anything is closed after ten seconds.
"""

from __future__ import annotations

import contextlib
import resource
from typing import Final

from loadtests.soak.crew import Crew, Limits
from loadtests.soak.goals.goal import Finding, Findings
from tests import processes
from tests.faults.client import ask, calling, get
from tests.faults.stage import SEED, bugs, request, resident, together, whole

IDLE: Final = 10_000
STREAMS: Final = 100
TOKENS: Final = 100
RESIDENT: Final = 400.0
"""MB that the gateway may hold then."""


async def run(scale: float) -> Findings:
    """The streams are whole, and whoever said nothing until now is still heard afterwards."""
    _raise_the_limit()
    idle, streams = round(IDLE * scale), max(10, round(STREAMS * scale))
    async with contextlib.AsyncExitStack() as opened:
        gateway = opened.enter_context(processes.gateway(opened.enter_context(processes.short_folder())))
        opened.enter_context(Crew(gateway, SEED, limits=Limits.of(scale)))
        quiet = [await opened.enter_async_context(calling(gateway.port, get("/livez"))) for _ in range(idle)]
        await together(each.hear() for each in quiet)
        wires = [request(seed=seed, tokens=TOKENS, itl=0.05) for seed in range(streams)]
        heard = await together(ask(gateway.port, wire) for wire in wires)
        held = resident(gateway) / 1e6
        for each in quiet:
            await each.say(get("/livez"))
        alive = await together(each.another() for each in quiet)
        return [
            Finding("streams not whole", sum(not whole(each, TOKENS, seed=seed) for seed, each in enumerate(heard))),
            Finding(f"of {idle:,} that said nothing, not heard again", sum(each.status != 200 for each in alive)),
            Finding("MB held", held, RESIDENT, measured=True),
            Finding("bugs logged", float(bool(bugs(gateway)))),
        ]


def _raise_the_limit() -> None:
    """As many descriptors as this process and those that it starts may have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
