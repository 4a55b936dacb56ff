"""`make soak MINUTES=30`, which is `python -m loadtests.soak [--minutes N] [--every S] [--seed N] [--goal NAME]`.

Three fake workers behind a real gateway; JSON, streams and clients that leave, all at once; every few seconds a
worker is killed by SIGKILL and started again, at its old port or at another one, and the snapshot follows a little
late. It ends with a report, and with status 0 only if every failure is explained and the memory is flat.

With a goal it is one of the long runs of `loadtests.soak.goals` instead, with status 0 if nothing went wrong: a figure
that is missed is said, and is no failure.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import time

from loadtests.soak.crew import Crew, Limits
from loadtests.soak.goals import GOALS
from loadtests.soak.goals.goal import wrong
from loadtests.soak.load import Load
from loadtests.soak.report import Report, Sample
from tests import processes
from tests.processes import Gateway

_SAMPLES: int = 60
"""Looks at the gateway's memory over a whole run, about."""


def main(argv: list[str] | None = None) -> int:
    """Run, print the report; 1 where something is unexplained or grows."""
    options = _options(argv)
    if options.goal:
        return _goal(options.goal, options.scale)
    report = asyncio.run(run(options.minutes * 60, options.every, options.seed, Limits.strict()))
    print(report.text())
    return 0 if report.passed else 1


def _goal(name: str, scale: float) -> int:
    goal = GOALS[name]
    print(f"{name}: {goal.sentence}" + ("" if scale == 1 else f"; {scale:g} of it"), flush=True)
    began = time.monotonic()
    findings = asyncio.run(goal.run(scale))
    print("\n".join(finding.line() for finding in findings))
    print(f"{time.monotonic() - began:.0f} s")
    return 1 if wrong(findings) else 0


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--every", type=float, default=20.0, help="seconds between two killed workers")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--goal", choices=list(GOALS), help="; ".join(f"{name}: {GOALS[name].sentence}" for name in GOALS)
    )
    parser.add_argument("--scale", type=float, default=1.0, help="how much of the goal, which is 1")
    return parser.parse_args(argv)


async def run(seconds: float, every: float, seed: int, limits: Limits, *, kills: int = 0) -> Report:
    """The soak of so many seconds with a kill `every` so many; it goes on until there were `kills` at least."""
    with contextlib.ExitStack() as opened:
        gateway = opened.enter_context(processes.gateway(opened.enter_context(processes.short_folder())))
        crew = opened.enter_context(Crew(gateway, seed, limits=limits))
        load = Load(gateway.port, seed)
        samples: list[Sample] = []
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(_watch(gateway, load, samples, max(1.0, seconds / _SAMPLES)))
            killing = group.create_task(crew.kill_by_turns(every))
            await load.run(seconds, lambda: len(crew.kills) < kills)
            killing.cancel()
            watching.cancel()
        left = await crew.left()
        return Report.of(load.results, crew.kills, samples, left, gateway.log)


async def _watch(gateway: Gateway, load: Load, samples: list[Sample], step: float) -> None:
    while True:
        await asyncio.sleep(step)
        samples.append(Sample.of(gateway, time.monotonic(), len(load.results)))


if __name__ == "__main__":
    sys.exit(main())
