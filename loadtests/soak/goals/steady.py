"""Many slow streams for a long time, with workers that live or with workers that are killed by turns.

A client asks again as soon as it has its answer, so that there are always as many streams as there are clients. Every
word of every answer is checked: one that is lost, doubled, strayed or out of place is an answer that is not whole.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from dataclasses import dataclass, field
from typing import Final

from loadtests.soak.crew import Crew, Limits
from loadtests.soak.goals.goal import Finding, Findings
from tests import processes
from tests.faults.client import End, Transcript, ask, post
from tests.faults.stage import CHAT, SEED, broken_off, bugs, whole

STREAMS: Final = 2000
SECONDS: Final = 300.0
TOKENS: Final = 60
SHORT: Final = 5
"""Tokens of a JSON answer: a longer one would meet three dying workers, and nobody is asked a fourth time."""
PACE: Final = 0.2
"""Seconds from one token to the next."""
WORKERS: Final = 4
EVERY: Final = 5.0
"""Seconds between two kills."""
_ASKERS: Final = 50
"""For each of them, one client that wants JSON: where workers are killed."""


@dataclass
class Tally:
    """What became of the answers."""

    whole: int = 0
    told: int = 0
    """Streams that ended with an error event: honest, but resumable ones should have gone on."""
    silent: int = 0
    """Streams that ended as if they were whole, and are not."""
    late: int = 0
    """Connections that were closed before any answer: the gateway waits ten seconds for a request, and on a machine
    with too much to do its clients are later than that."""
    other: list[str] = field(default_factory=list)

    @property
    def answered(self) -> int:
        return self.whole + self.told + self.silent + len(self.other)

    def note(self, heard: Transcript, tokens: int, seed: int) -> None:
        if whole(heard, tokens, seed=seed):
            self.whole += 1
        elif not heard.status:
            self.late += 1
        elif broken_off(heard, "worker_failed", seed=seed):
            self.told += 1
        elif heard.status == 200 and heard.end is End.COMPLETE and not heard.errors:
            self.silent += 1
        else:
            self.other.append(f"{heard.status} {heard.end} {heard.body[-200:]!r}")


async def streams(scale: float) -> Findings:
    """Nothing happens to the workers."""
    return await _run(scale, every=None)


async def killed(scale: float) -> Findings:
    """A random one of the workers is killed every few seconds; streams go on with another, JSON is asked for again."""
    return await _run(scale, every=EVERY)


async def _run(scale: float, every: float | None) -> Findings:
    clients = max(20, round(STREAMS * scale))
    with contextlib.ExitStack() as opened:
        gateway = opened.enter_context(processes.gateway(opened.enter_context(processes.short_folder())))
        script = ("--tokens", str(TOKENS), "--itl", str(PACE))
        crew = opened.enter_context(
            Crew(gateway, SEED, limits=Limits.of(scale), size=WORKERS, capacity=clients, script=script)
        )
        tally, seeds = Tally(), itertools.count(1)
        until = time.monotonic() + max(10.0, SECONDS * scale)
        async with asyncio.TaskGroup() as group:
            killing = group.create_task(crew.kill_by_turns(every)) if every else None
            async with asyncio.TaskGroup() as users:
                for number in range(clients):
                    streaming = every is None or number % _ASKERS > 0
                    users.create_task(_again(gateway.port, tally, seeds, until, streaming=streaming))
            if killing:
                killing.cancel()
        left = await crew.left()
        unheard = gateway.metric("enginehouse_requests_total") - tally.answered
        return [
            Finding(f"{tally.whole:,} answers whole; clients left without one", float(tally.whole < clients)),
            Finding(f"streams lost with {len(crew.kills)} workers killed", tally.told),
            Finding("streams cut silently", tally.silent),
            Finding(f"other failures {tally.other[:3] or ''}", len(tally.other)),
            Finding("requests whose answer nobody heard", abs(unheard)),
            Finding("clients that came too late with their request", tally.late, measured=True),
            Finding(f"left behind {left or ''}", len(left)),
            Finding("bugs logged", float(bool(bugs(gateway)))),
        ]


async def _again(port: int, tally: Tally, seeds: itertools.count[int], until: float, *, streaming: bool) -> None:
    await asyncio.sleep(next(seeds) % 97 / 97 * PACE)  # not all in the same instant
    while time.monotonic() < until:
        seed, tokens = next(seeds), TOKENS if streaming else SHORT
        tally.note(await ask(port, _wire(seed, tokens, streaming=streaming)), tokens, seed)


def _wire(seed: int, tokens: int, *, streaming: bool) -> bytes:
    """Greedy, and with no field that engines do not have, so that any worker can go on where another one ended. The
    fake ones bind their words to the seed.
    """
    body = {"model": "small", "messages": [{"role": "user", "content": "hi"}], "stream": streaming}
    return post(CHAT, body | {"seed": seed, "temperature": 0, "max_tokens": tokens})
