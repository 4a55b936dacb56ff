"""The gateway benchmark: what a request and a streamed chunk cost, as ratios to nginx in the same run.

`make bench`, or `python -m loadtests.gateway_bench [--quick] [--only NAME,…] [--scenario NAME,…] [--peers]`.
The server under test runs alone on core 0 with one worker; the mock engine and the load generator share core 1, and
`direct` shows their own limit. Contestants take turns within each round. Needs gcc and nginx. Other load on the
machine disturbs latencies much, CPU figures little, ratios least.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from loadtests.bench import native, table
from loadtests.bench.arena import Arena, ContestantFailed, Server, contestant, mock_engine
from loadtests.bench.chart import Panel, draw
from loadtests.bench.contestants import CONTESTANTS, Contestant, chosen
from loadtests.bench.figures import Round, summarise
from loadtests.bench.measure import Bench
from loadtests.bench.scenarios import SCENARIOS, Scenario, hurried

_NEEDED_CORES: Final = 2
_OUT: Final = Path("docs/benchmarks")
_PANELS: Final = (
    ("json_64", "cpu_us_per_request", "CPU per request, µs (64 connections; less is better, logarithmic)"),
    ("streams_256", "cpu_s_per_million_chunks", "CPU per million streamed chunks, s (256 streams; less is better)"),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run."""

    contestants: tuple[Contestant, ...]
    scenarios: tuple[Scenario, ...]
    rounds: int
    out: Path


def main() -> int:
    """Runs the benchmark, prints the table, writes JSON and SVG; 1 where it cannot be run."""
    plan = _plan(sys.argv[1:])
    if (os.cpu_count() or 1) < _NEEDED_CORES:
        print("the benchmark needs two cores: one for the server under test, one for the load")
        return 1
    try:
        summaries = _run(plan)
    except ContestantFailed as fault:
        print(fault)
        return 1
    print("\n".join(table.verdicts(summaries)))
    _write(plan, summaries)
    return 0


def _plan(words: list[str]) -> Plan:
    parser = argparse.ArgumentParser(prog="gateway_bench", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one short round: for a look, not for a figure")
    parser.add_argument("--peers", action="store_true", default=bool(os.environ.get("PEERS")), help="or PEERS=1")
    parser.add_argument("--only", default="", help="contestants, by name, separated by commas")
    parser.add_argument("--scenario", default="", help="scenarios, by name, separated by commas")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--out", type=Path, default=_OUT, help="folder of gateway.json and gateway.svg")
    asked = parser.parse_args(words)
    wanted = set(filter(None, asked.scenario.split(",")))
    scenarios = tuple(scenario for scenario in SCENARIOS if not wanted or scenario.name in wanted)
    return Plan(
        contestants=chosen(list(filter(None, asked.only.split(","))), peers=asked.peers),
        scenarios=tuple(map(hurried, scenarios)) if asked.quick else scenarios,
        rounds=asked.rounds or (1 if asked.quick else 3),
        out=asked.out,
    )


def _run(plan: Plan) -> dict[str, table.Summary]:
    cache = _cache()
    native.build(cache / "native")
    summaries: dict[str, table.Summary] = {}
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(mock_engine(cache / "native"))
        arena = Arena(cache=cache, engine_port=port, key=f"sk-{secrets.token_hex(16)}")
        servers = {who.name: stack.enter_context(contestant(who, arena)) for who in plan.contestants}
        bench = Bench(arena, cache / "native")
        for scenario in _possible(plan):
            summaries[scenario.name] = _rounds(bench, scenario, plan, servers)
            print(table.render(scenario.title, summaries[scenario.name]), end="\n\n", flush=True)
    return summaries


def _rounds(bench: Bench, scenario: Scenario, plan: Plan, servers: Mapping[str, Server]) -> table.Summary:
    present = [who for who in plan.contestants if _takes_part(who, scenario)]
    rounds: list[Round] = []
    for number in range(plan.rounds):
        turn = [who.name for who in present if not (who.slow and number)]
        order = turn if number % 2 == 0 else turn[::-1]
        rounds.append({name: bench.run(scenario, servers[name]) for name in order})
    found = summarise(rounds)
    return {who.name: found[who.name] for who in present}


def _possible(plan: Plan) -> list[Scenario]:
    return [scenario for scenario in plan.scenarios if any(_takes_part(who, scenario) for who in plan.contestants)]


def _takes_part(who: Contestant, scenario: Scenario) -> bool:
    return (scenario.main or not who.slow) and (scenario.models == 1 or who.snapshot)


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(os.environ.get("ENGINEHOUSE_CACHE") or f"{base}/enginehouse") / "bench"


def _write(plan: Plan, summaries: Mapping[str, table.Summary]) -> None:
    plan.out.mkdir(parents=True, exist_ok=True)
    packages = {who.name: who.package for who in CONTESTANTS if who.package}
    document = {
        "measured": datetime.now(UTC).date().isoformat(),
        "machine": {"cpu": _cpu_model(), "cores": os.cpu_count(), "kernel": platform.release()},
        "python": platform.python_version(),
        "rounds": plan.rounds,
        "peers": {who.name: packages[who.name] for who in plan.contestants if who.package},
        "scenarios": {
            scenario.name: {"title": scenario.title, "contestants": _rounded(summaries[scenario.name])}
            for scenario in _possible(plan)
        },
    }
    (plan.out / "gateway.json").write_text(json.dumps(document, indent=2) + "\n")
    (plan.out / "gateway.svg").write_text(draw([_panel(*words, summaries) for words in _PANELS]))
    print(f"written: {plan.out / 'gateway.json'}, {plan.out / 'gateway.svg'}")


def _rounded(summary: table.Summary) -> dict[str, dict[str, float]]:
    return {name: {figure: round(value, 4) for figure, value in row.items()} for name, row in summary.items()}


def _panel(scenario: str, figure: str, title: str, summaries: Mapping[str, table.Summary]) -> Panel:
    rows = {name: row for name, row in summaries.get(scenario, {}).items() if figure in row}
    return Panel(
        title,
        values={name: row[figure] for name, row in rows.items()},
        ratios={name: row[f"{figure}_x"] for name, row in rows.items() if f"{figure}_x" in row},
    )


def _cpu_model() -> str:
    lines: Sequence[str] = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


if __name__ == "__main__":
    sys.exit(main())
