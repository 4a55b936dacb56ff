"""All traces through the simulation, as a table. Used by `__main__`."""

from __future__ import annotations

from hashlib import blake2b

from engines.ledger.placement import moves
from loadtests.adapters.others import least_recently_used
from loadtests.adapters.simulation import House, Outcome, simulate, simulate_apart
from loadtests.adapters.traces import TRACES, Ask, Shape

_SHAPE = Shape(requests=300, rate=6.0)
_SEEDS = range(3)


def simulated() -> list[str]:
    """Markdown: loads per 100 requests, p99 and worst TTFT in simulated seconds, by trace; the means of three seeds."""
    house = House()
    lines = ["| trace | enginehouse | one queue, LRU | round robin | affinity only |", "|---" * 5 + "|"]
    for name, make in TRACES.items():
        traces = [make(_SHAPE, seed) for seed in _SEEDS]
        columns = [
            [simulate(trace, house, moves) for trace in traces],
            [simulate(trace, house, least_recently_used) for trace in traces],
            [simulate_apart(trace, house, lambda: least_recently_used, lambda n, _: n % 2) for trace in traces],
            [simulate_apart(trace, house, lambda: least_recently_used, lambda _, ask: _home(ask)) for trace in traces],
        ]
        lines.append(f"| {name} | " + " | ".join(_told(each) for each in columns) + " |")
    return lines


def _told(found: list[Outcome]) -> str:
    count = len(found)
    loads, p99 = sum(each.per_hundred for each in found) / count, sum(each.percentile(0.99) for each in found) / count
    return f"{loads:.0f} / {p99:.1f} s / {sum(each.worst for each in found) / count:.1f} s"


def _home(ask: Ask) -> int:
    return blake2b(ask.adapter.encode(), digest_size=1).digest()[0] % 2
