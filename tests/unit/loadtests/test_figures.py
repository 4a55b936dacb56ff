"""From runs to figures."""

import pytest

from loadtests.bench.figures import figures_of, medians, ratios_of, summarise
from loadtests.bench.measure import Run
from loadtests.bench.native import LoadReport, Quantiles


def _quantiles(milliseconds: float) -> Quantiles:
    return Quantiles(count=10, p50=milliseconds, p90=milliseconds, p99=2 * milliseconds, max=9.0)


def _report(*, requests: int = 1000, events: int = 0, first: float = 1.0) -> LoadReport:
    return LoadReport(
        seconds=1.0,
        requests=requests,
        unfinished=0,
        errors=0,
        refused=0,
        bad_status=0,
        cut=0,
        dropped=0,
        reconnects=0,
        bytes=0,
        events=events,
        rate=float(requests),
        latency_ms=_quantiles(first),
        ttft_ms=_quantiles(first),
        itl_ms=None,
    )


def test_cpu_is_told_per_request_where_nothing_streams() -> None:
    """Microseconds per answered request."""
    figures = figures_of(Run(_report(requests=1000), cpu=0.05, rss=1), direct=None)

    assert figures["cpu_us_per_request"] == pytest.approx(50.0)


def test_cpu_is_told_per_million_chunks_where_streams_ran() -> None:
    """Seconds per million SSE events."""
    figures = figures_of(Run(_report(events=10_000), cpu=0.2, rss=1), direct=None)

    assert figures["cpu_s_per_million_chunks"] == pytest.approx(20.0)


def test_added_ttft_is_the_difference_to_direct() -> None:
    """What a gateway adds is what the same load does not wait for without it."""
    figures = figures_of(Run(_report(first=1.5), cpu=0.1, rss=1), direct=Run(_report(first=1.0), cpu=0.0, rss=0))

    assert (figures["added_ttft_p50_ms"], figures["added_ttft_p99_ms"]) == (0.5, 1.0)


def test_a_storm_is_told_by_the_p99_before_and_after_it() -> None:
    """And by the streams that it left running."""
    calm = Run(_report(first=1.0), cpu=0.1, rss=1)

    figures = figures_of(Run(_report(first=3.0), cpu=0.1, rss=1, calm=calm, left_streams=2), direct=None)

    assert (figures["latency_p99_ms_vs_calm"], figures["streams_left_by_storm"]) == (3.0, 2)


def test_a_ratio_to_a_baseline_of_nothing_is_not_told() -> None:
    """Added TTFT may be measured as zero or less; a ratio to that means nothing."""
    assert ratios_of({"added_ttft_p50_ms": 1.0, "rss_mb": 40.0}, {"added_ttft_p50_ms": -0.1, "rss_mb": 20.0}) == {
        "rss_mb_x": 2.0
    }


def test_the_median_of_a_figure_skips_the_rounds_without_it() -> None:
    """A round in which a server failed has fewer figures."""
    assert medians([{"a": 1.0, "b": 5.0}, {"a": 3.0}, {"a": 2.0}]) == {"a": 2.0, "b": 5.0}


def test_ratios_are_taken_within_a_round() -> None:
    """A round in which the whole machine was twice as slow does not move the ratio."""
    rounds = [
        {"nginx": Run(_report(), cpu=0.02 * slow, rss=1), "other": Run(_report(), cpu=0.06 * slow, rss=1)}
        for slow in (1, 2, 1)
    ]

    assert summarise(rounds)["other"]["cpu_us_per_request_x"] == pytest.approx(3.0)
