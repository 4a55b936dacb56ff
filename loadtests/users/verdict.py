"""Whether a run kept its limits. Pure; called by the locustfile with what Locust has counted."""

from __future__ import annotations

from dataclasses import dataclass

from loadtests.users.settings import Limits


@dataclass(frozen=True, slots=True)
class Figures:
    """A finished run. Times in milliseconds; None: nothing to measure it by."""

    requests: int
    failures: int
    ttft_p95: float | None
    p95: float | None
    tokens_per_second: float


def broken(figures: Figures, limits: Limits) -> list[str]:
    """One line for each limit that was not kept; empty: the run passed."""
    if not figures.requests:
        return ["no request was finished"]
    ratio = figures.failures / figures.requests
    found = []
    if ratio > limits.fail_ratio:
        counted = f"{figures.failures} of {figures.requests} requests failed ({ratio:.2%})"
        found.append(f"MAX_FAIL_RATIO={limits.fail_ratio:g}: {counted}")
    found += _time("MAX_TTFT_P95", figures.ttft_p95, limits.ttft_p95)
    found += _time("MAX_P95", figures.p95, limits.p95)
    least = limits.tokens_per_second
    if least is not None and figures.tokens_per_second < least:
        found.append(f"MIN_TOKENS_PER_SECOND={least:g}: there were {figures.tokens_per_second:.1f}")
    return found


def _time(name: str, measured: float | None, limit: float | None) -> list[str]:
    if limit is None:
        return []
    if measured is None:
        return [f"{name}={limit:g}ms: nothing was measured"]
    return [f"{name}={limit:g}ms: it was {measured:g} ms"] if measured > limit else []
