"""All traces through the simulation, as a table. Used by `__main__`."""

from __future__ import annotations

from hashlib import blake2b

from engines.ledger.placement import moves
from loadtests.adapters.others import least_recently_used
from loadtests.adapters.simulation import House, Outcome, simulate, simulate_apart
from loadtests.adapters.traces import TRACES, Ask, Shape

_SHAPE = Shape(requests=300, rate=6.0)
_SEEDS = range(100, 103)
"""Others than those on which the placement's bounds were chosen."""


def simulated() -> list[str]:
    """Markdown: loads per 100 requests, p50 and p99 TTFT in simulated seconds, by trace, the means of three seeds."""
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
    loads = sum(each.per_hundred for each in found) / count
    p50, p99 = (sum(each.percentile(share) for each in found) / count for share in (0.5, 0.99))
    return f"{loads:.0f} / {p50:.1f} s / {p99:.1f} s"


def _home(ask: Ask) -> int:
    return blake2b(ask.adapter.encode(), digest_size=1).digest()[0] % 2
