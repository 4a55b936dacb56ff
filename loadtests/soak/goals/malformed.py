"""Requests that somebody has damaged: bytes changed, cut out, put in, said twice; values of the wrong kind.

Many are still right, and are answered; what is not is refused in the envelope, never with a 5xx.
"""

from __future__ import annotations

import contextlib
import json
import random
import time
from collections import Counter
from typing import Any, Final

from loadtests.soak.crew import Crew, Limits
from loadtests.soak.goals.goal import Finding, Findings
from tests import processes
from tests.faults.client import End, Transcript, ask, post
from tests.faults.stage import CHAT, SEED, bugs, in_turns, request, whole

REQUESTS: Final = 100_000
REFUSED: Final = 0.05
"""Seconds that a refusal may take, for 99 in 100."""
_WIDE: Final = 16
_ODD: Final[tuple[Any, ...]] = (None, True, -1, 2**53, 1e308, "", "\0", "\ud800", [], {}, [[]], {"": {}}, "x" * 300)
_FIELDS: Final = ("model", "messages", "stream", "n", "max_tokens", "stop", "tools", "temperature", "user", "seed")


async def run(scale: float) -> Findings:
    """All of them, one after the other on connections of their own; afterwards the gateway serves as ever."""
    count = round(REQUESTS * scale)
    with contextlib.ExitStack() as opened:
        gateway = opened.enter_context(processes.gateway(opened.enter_context(processes.short_folder())))
        opened.enter_context(Crew(gateway, SEED, limits=Limits.of(scale)))
        statuses: Counter[int] = Counter()
        took: list[float] = []
        silent: list[bytes] = []

        async def one(number: int) -> None:
            wire = damaged(random.Random(SEED * REQUESTS + number))
            began = time.perf_counter()
            heard = await ask(gateway.port, wire)
            took.append(time.perf_counter() - began)
            statuses[heard.status] += 1
            if not _answered(heard):
                silent.append(wire)

        await in_turns(count, _WIDE, one)
        alive = whole(await ask(gateway.port, request(seed=1)), seed=1)
        return [
            Finding(f"answers by status {dict(sorted(statuses.items()))}; 5xx", sum(_bad(statuses))),
            Finding(f"not answered in the envelope {silent[:2] or ''}", len(silent)),
            Finding("a request afterwards that fails", float(not alive)),
            Finding("p99 of an answer, s", sorted(took)[int(count * 0.99)], REFUSED, measured=True),
            Finding("bugs logged", float(bool(bugs(gateway)))),
        ]


def damaged(chance: random.Random) -> bytes:
    """A chat on the wire with one to three things wrong in its body."""
    body: dict[str, Any] = {"model": "small", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 2}
    if chance.random() < 0.4:
        for _ in range(chance.randrange(1, 4)):
            body[chance.choice(_FIELDS)] = chance.choice(_ODD)
        return post(CHAT, json.dumps(body).encode())
    text = bytearray(json.dumps(body).encode())
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(text))
        text[at : at + chance.choice((0, 0, 1, 5))] = chance.choice(
            (chance.randbytes(1), b'"', b"\\", b"{" * 70, b"\x00", b"\xff", b",", text[:at], b"1e999", b"\\ud800")
        )
    return post(CHAT, bytes(text))


def _answered(heard: Transcript) -> bool:
    """Whether it has its answer, or hears why not, as OpenAI would say it."""
    if heard.end is not End.COMPLETE:
        return False
    return heard.status == 200 or {"message", "type", "param", "code"} <= heard.json()["error"].keys()


def _bad(statuses: Counter[int]) -> list[int]:
    return [count for status, count in statuses.items() if status >= 500]
