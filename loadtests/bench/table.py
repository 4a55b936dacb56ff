"""The report as text: one block a scenario, one line a contestant, each figure with its ratio to nginx. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from loadtests.bench.contestants import DIRECT, OURS

Summary = Mapping[str, Mapping[str, float]]
"""Contestant → figures, as `figures.summarise` returns them."""


@dataclass(frozen=True, slots=True)
class Column:
    """One figure in the table; a column that nobody fills is left out."""

    title: str
    figure: str
    digits: int = 1


@dataclass(frozen=True, slots=True)
class Goal:
    """A promise about our gateway; `limit` is the most that keeps it."""

    scenario: str
    figure: str
    limit: float
    words: str


COLUMNS: Final = (
    Column("req/s", "requests_per_second", 0),
    Column("CPU µs/req", "cpu_us_per_request"),
    Column("CPU s/1M chunks", "cpu_s_per_million_chunks"),
    Column("added TTFT p50 ms", "added_ttft_p50_ms", 2),
    Column("added TTFT p99 ms", "added_ttft_p99_ms", 2),
    Column("ITL p99 ms", "itl_p99_ms", 1),
    Column("p99 ms", "latency_p99_ms", 1),
    Column("RSS MB", "rss_mb", 0),
    Column("p99 ÷ calm", "latency_p99_ms_vs_calm", 2),
    Column("CPU ÷ calm", "cpu_us_per_request_vs_calm", 2),
    Column("left streams", "streams_left_by_storm", 0),
    Column("errors", "errors", 0),
)
GOALS: Final = (
    Goal("json_64", "cpu_us_per_request_x", 4.0, "request CPU, x nginx"),
    Goal("streams_256", "cpu_s_per_million_chunks_x", 1.3, "chunk CPU, x nginx"),
    Goal("streams_256", "added_ttft_p50_ms_x", 3.0, "added TTFT p50 at 256 streams, x nginx"),
    Goal("streams_256", "added_ttft_p99_ms_x", 4.0, "added TTFT p99 at 256 streams, x nginx"),
    Goal("streams_256", "rss_mb", 80.0, "RSS at 256 streams, MB"),
    Goal("storm", "errors", 0.0, "requests lost after the storm"),
    Goal("storm", "streams_left_by_storm", 0.0, "streams left running by the storm"),
    Goal("storm", "latency_p99_ms_vs_calm", 2.0, "p99 right after the storm, x before"),
    Goal("names_11000", "cpu_us_per_request_vs_calm", 1.05, "request CPU among 11,000 names, x one"),
)


def render(title: str, summary: Summary) -> str:
    """The block of one scenario."""
    columns = [column for column in COLUMNS if any(column.figure in figures for figures in summary.values())]
    rows = [["", *(column.title for column in columns)]]
    rows += [[name, *(_cell(figures, column) for column in columns)] for name, figures in summary.items()]
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    lines = ["  ".join(_aligned(row, widths)).rstrip() for row in rows]
    return "\n".join([title, *(f"  {line}" for line in lines)])


def verdicts(summaries: Mapping[str, Summary]) -> list[str]:
    """One line a goal: met, missed, or not measured."""
    return [_verdict(goal, summaries.get(goal.scenario, {}).get(OURS, {}).get(goal.figure)) for goal in GOALS] + [
        _below_peers("json_64", "cpu_us_per_request", summaries),
        _below_peers("streams_256", "cpu_s_per_million_chunks", summaries),
    ]


def _cell(figures: Mapping[str, float], column: Column) -> str:
    if column.figure not in figures:
        return "-"
    ratio = figures.get(f"{column.figure}_x")
    value = f"{figures[column.figure]:,.{column.digits}f}"
    return value if ratio is None else f"{value} ({ratio:.2f}x)"


def _aligned(row: list[str], widths: list[int]) -> list[str]:
    align: list[Callable[[str, int], str]] = [str.ljust, *([str.rjust] * (len(row) - 1))]
    return [place(cell, width) for place, cell, width in zip(align, row, widths, strict=True)]


def _verdict(goal: Goal, value: float | None) -> str:
    if value is None:
        return f"not measured  {goal.words}"
    word = "met   " if value <= goal.limit else "MISSED"
    return f"{word}        {goal.words}: {value:.2f} (goal: at most {goal.limit:g})"


def _below_peers(scenario: str, figure: str, summaries: Mapping[str, Summary]) -> str:
    summary = summaries.get(scenario, {})
    peers = {
        name: figures[figure]
        for name, figures in summary.items()
        if name not in {DIRECT, OURS, "nginx"} and figure in figures
    }
    ours = summary.get(OURS, {}).get(figure)
    if ours is None or not peers:
        return f"not measured  {figure} below every peer (PEERS=1)"
    nearest = min(peers, key=lambda name: peers[name])
    word = "met   " if ours < peers[nearest] else "MISSED"
    return f"{word}        {figure} below every peer: {ours:.1f}, the nearest is {nearest} with {peers[nearest]:.1f}"
