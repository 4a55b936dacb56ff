"""`make bench-adapters`, or `python -m loadtests.adapters [--fake|--simulate|--registered] [--rounds N] [--rate R] …`.

Twelve adapters for four slots: a house with two workers, a Zipf load through its gateway, each placement by turns in
every round with the same load, so that what else the machine does hits all alike. Prints a table, writes
adapters.json, and ends with 0 only if the goals are met.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from loadtests.adapters.asking import TOKENS, Answer, answered
from loadtests.adapters.house import MODEL, House, house
from loadtests.adapters.placements import choose, decided, placements
from loadtests.adapters.registered import registered
from loadtests.adapters.report import Trial, record, rows, table, verdicts
from loadtests.adapters.simulated import simulated
from loadtests.adapters.traces import TRACES, Shape, Trace, names, zipf


def main(argv: list[str] | None = None) -> int:
    """Run, print, write; 1 where a goal is missed."""
    options = _options(argv)
    if options.simulate or options.registered:
        print("\n".join(simulated() if options.simulate else registered()))
        return 0
    rate = options.rate or (4.0 if options.fake else 0.8)
    shape = Shape(requests=options.requests or (120 if options.fake else 60), rate=rate)
    trials: list[Trial] = []
    with house(shape.adapters, fake=options.fake) as running:
        _asked(running, zipf(replace(shape, requests=shape.adapters), options.rounds))  # whoever is first is not cold
        for number in range(options.rounds):
            trials += turns(running, shape, options.trace, number)
    print("\n".join(table(rows(trials))))
    goals = verdicts(rows(trials))
    print("\n".join(f"{'met' if met else 'MISSED'}: {goal}" for met, goal in goals))
    circumstances = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, shared",
        "engines": "fake" if options.fake else "vLLM on CPU",
        "load": {"trace": options.trace, "tokens": TOKENS} | asdict(shape),
    }
    options.out.mkdir(parents=True, exist_ok=True)
    name = "adapters-fake.json" if options.fake else "adapters.json"
    (options.out / name).write_text(json.dumps(circumstances | record(trials), indent=1) + "\n")
    return 0 if all(met for met, _ in goals) else 1


def turns(running: House, shape: Shape, trace: str, number: int) -> list[Trial]:
    """One round: each placement once, in each round another first, with the same requests."""
    known, trials = list(placements()), []
    for name in known[number % len(known) :] + known[: number % len(known)]:
        choose(running.folder, name)
        before = decided(running.folder)
        answers = _asked(running, TRACES[trace](shape, number))
        loads, evictions = (after - then for after, then in zip(decided(running.folder), before, strict=True))
        trials.append(Trial(name, number, loads, evictions, answers))
        print(f"round {number + 1}: {table(rows(trials[-1:]))[-1]}", file=sys.stderr)
    return trials


def _asked(running: House, trace: Trace) -> Sequence[Answer]:
    words = dict(zip(names(len(running.words)), running.words, strict=True))
    return asyncio.run(answered(running.url, MODEL, trace, words))


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtests.adapters", description=__doc__)
    parser.add_argument("--fake", action="store_true", help="fake workers, whose adapters take half a second to load")
    parser.add_argument("--simulate", action="store_true", help="no house: all traces, in simulated time")
    parser.add_argument("--registered", action="store_true", help="no house: what 10,000 adapters cost a request")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--requests", type=int)
    parser.add_argument("--rate", type=float, help="requests a second")
    parser.add_argument("--trace", choices=list(TRACES), default="zipf")
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"), help="folder of the JSON file")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
