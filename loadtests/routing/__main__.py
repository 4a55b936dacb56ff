"""`make bench-routing`, or `python -m loadtests.routing [--rounds N] [--policies NAME,…] [--users N] [--add]`.

Two real vLLM workers with small caches, started by a real `enginehouse serve`; chats that share system prompts; each
policy by turns in every round, so that what else the machine does hits all alike. Prints a table, writes
routing.json, and ends with 0 only if the goals are met.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cli.folders import cache_folder
from loadtests.routing.chats import Shape, chats, served
from loadtests.routing.report import Trial, recalled, record, rows, table, verdicts
from loadtests.routing.routes import PEER, cached, routes, workers
from registry.snapshot import ModelView

_POLICIES: Final = ("round_robin", "least_loaded", "prefix_affinity", PEER)
_REGISTRY: Final = Path(__file__).parent / "registry.yaml"
_WORKERS: Final = 2


def main(argv: list[str] | None = None) -> int:
    """Run, print, write; 1 where a goal is missed."""
    options = _options(argv)
    shape = Shape(users=options.users)
    written = options.out / "routing.json"
    trials = recalled(written.read_bytes()) if options.add else []
    cache = cache_folder(None, os.environ) / "bench"
    with workers(_REGISTRY, _WORKERS) as model, routes(model, tuple(options.policies.split(",")), cache) as addresses:
        before = len({trial.round for trial in trials})
        for number in range(before, before + options.rounds):
            trials += turns(model, addresses, shape, number)
    print("\n".join(table(rows(trials))))
    goals = verdicts(rows(trials))
    print("\n".join(f"{'met' if met else 'MISSED'}: {goal}" for met, goal in goals))
    circumstances = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, shared",
        "load": asdict(shape),
    }
    options.out.mkdir(parents=True, exist_ok=True)
    written.write_text(json.dumps(circumstances | record(trials), indent=1) + "\n")
    return 0 if all(met for met, _ in goals) else 1


def turns(model: ModelView, addresses: Mapping[str, str], shape: Shape, number: int) -> list[Trial]:
    """One round: each policy once, in each round another first, with chats that no worker has seen."""
    trials = []
    names = list(addresses)
    for name in names[number % len(names) :] + names[: number % len(names)]:
        load = chats(shape, number, f"{name} {number}")
        before = cached(model)
        answers = asyncio.run(served(addresses[name], model.name, load, shape.tokens))
        hits, queries = (after - then for after, then in zip(cached(model), before, strict=True))
        trials.append(Trial(name, number, answers, hits, queries))
        print(f"round {number + 1}: {name} {hits / queries:.1%} in {trials[-1].seconds:.0f} s", file=sys.stderr)
    return trials


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtests.routing", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--users", type=int, default=Shape().users)
    parser.add_argument("--add", action="store_true", help="go on with the rounds that routing.json has")
    parser.add_argument("--policies", default=",".join(_POLICIES))
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"), help="folder of routing.json")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
