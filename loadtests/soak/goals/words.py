"""Adapters that are loaded while they are asked for, on real workers, each of which says one word of its own.

Twice as many adapters as there are slots, asked for by turns that fit no cache: the answer's words tell whose it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from loadtests.adapters.asking import Answer, answered
from loadtests.adapters.house import MODEL, House, house
from loadtests.adapters.placements import decided
from loadtests.adapters.traces import Shape, names, scan
from loadtests.soak.goals.goal import Finding, Findings

LOADS: Final = 200
ADAPTERS: Final = 8
_RATE: Final = 1.0
"""Requests a second."""
_FAKE: Final = 0.5
"""A scale below it is a short form: on fakes, which load an adapter in no time."""


async def run(scale: float) -> Findings:
    """Until there were as many loads; every request is whole, and no word is another adapter's."""
    fake, wanted = scale < _FAKE, max(8, round(LOADS * scale))
    # The house and its client are plain programs: they have a thread of their own.
    return await asyncio.to_thread(_run, wanted, fake=fake)


def _run(wanted: int, *, fake: bool) -> Findings:
    with house(ADAPTERS, fake=fake) as running:
        failed, strayed, asked, rounds = 0, 0, 0, 0
        while (loads := decided(running.folder)[0]) < wanted and rounds < wanted:
            answers = _asked(running, rounds, rate=20.0 if fake else _RATE)
            failed += sum(bool(each.error) for each in answers)
            strayed += sum(each.wrong for each in answers)
            asked, rounds = asked + len(answers), rounds + 1
    return [
        Finding(f"{loads} loads; missing", max(0, wanted - loads)),
        Finding(f"of {asked:,} requests, failed", failed),
        Finding("answers by another adapter", strayed),
    ]


def _asked(running: House, seed: int, *, rate: float) -> Sequence[Answer]:
    shape = Shape(adapters=ADAPTERS, requests=ADAPTERS * 4, rate=rate)
    words = dict(zip(names(ADAPTERS), running.words, strict=True))
    return asyncio.run(answered(running.url, MODEL, scan(shape, seed), words))
