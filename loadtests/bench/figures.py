"""From runs to figures: medians over the rounds, ratios to nginx in the same round. Pure. Called by `gateway_bench`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Final

from loadtests.bench.contestants import BASELINE, DIRECT
from loadtests.bench.measure import Run

Figures = Mapping[str, float]
"""Name of a figure → its value."""
Round = Mapping[str, Run]
"""Contestant → its run, all of one scenario, one after the other."""

COMPARED: Final = (
    "cpu_us_per_request",
    "cpu_s_per_million_chunks",
    "added_ttft_p50_ms",
    "added_ttft_p99_ms",
    "itl_p99_ms",
    "rss_mb",
    "requests_per_second",
    "latency_p99_ms",
)
"""Figures that are told as a ratio to nginx too."""


def figures_of(run: Run, direct: Run | None) -> dict[str, float]:
    """What one run says; `direct` is the same load without anything between. Absent: it cannot be said."""
    report = run.report
    found: dict[str, float] = {"requests_per_second": report.rate, "errors": report.errors + report.unfinished}
    if run.rss:
        found |= {"rss_mb": run.rss / 1e6} | _cpu(run)
    if report.latency_ms:
        found |= {"latency_p50_ms": report.latency_ms.p50, "latency_p99_ms": report.latency_ms.p99}
    if report.itl_ms:
        found["itl_p99_ms"] = report.itl_ms.p99
    if report.ttft_ms:
        found |= {"ttft_p50_ms": report.ttft_ms.p50, "ttft_p99_ms": report.ttft_ms.p99}
        if run.rss and direct and direct.report.ttft_ms:
            found["added_ttft_p50_ms"] = report.ttft_ms.p50 - direct.report.ttft_ms.p50
            found["added_ttft_p99_ms"] = report.ttft_ms.p99 - direct.report.ttft_ms.p99
    return found | _beside_calm(found, run)


def _cpu(run: Run) -> dict[str, float]:
    if run.report.events:
        return {"cpu_s_per_million_chunks": run.cpu / run.report.events * 1e6}
    if run.report.requests:
        return {"cpu_us_per_request": run.cpu / run.report.requests * 1e6}
    return {}


def _beside_calm(found: Figures, run: Run) -> dict[str, float]:
    if run.calm is None:
        return {}
    calm = figures_of(run.calm, None)
    ratios = {
        f"{name}_vs_calm": found[name] / calm[name]
        for name in ("latency_p99_ms", "cpu_us_per_request")
        if name in found and calm.get(name)
    }
    return ratios | {"streams_left_by_storm": float(run.left_streams)}


def ratios_of(figures: Figures, baseline: Figures) -> dict[str, float]:
    """The compared figures over the baseline's, where both exist and a ratio means something."""
    return {
        f"{name}_x": figures[name] / baseline[name]
        for name in COMPARED
        if name in figures and baseline.get(name, 0.0) > 0
    }


def medians(rows: Sequence[Figures]) -> dict[str, float]:
    """Figure by figure, over the rounds that have it."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: median(row[name] for row in rows if name in row) for name in names}


def summarise(rounds: Sequence[Round]) -> dict[str, dict[str, float]]:
    """Contestant → medians of its figures and of its ratios to nginx, each ratio taken within one round.

    A shared machine is faster in one minute than in the next: runs of one round are neighbours in time.
    """
    rows: dict[str, list[Figures]] = {}
    for runs in rounds:
        found = {name: figures_of(run, runs.get(DIRECT)) for name, run in runs.items()}
        baseline = found.get(BASELINE, {})
        for name, figures in found.items():
            ratios = ratios_of(figures, baseline) if name != DIRECT else {}
            rows.setdefault(name, []).append(figures | ratios)
    return {name: medians(each) for name, each in rows.items()}
