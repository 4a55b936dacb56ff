"""Which limits a run has broken."""

from __future__ import annotations

from dataclasses import replace

from loadtests.users.settings import Limits
from loadtests.users.verdict import Figures, broken

GOOD = Figures(requests=100, failures=0, ttft_p95=200.0, p95=900.0, tokens_per_second=50.0)


def test_a_run_within_its_limits_has_nothing_to_say():
    assert broken(GOOD, Limits(ttft_p95=200, p95=900, tokens_per_second=50)) == []


def test_each_broken_limit_is_a_line_that_names_it():
    lines = broken(replace(GOOD, failures=3), Limits(ttft_p95=100, p95=800, tokens_per_second=51))
    assert [line.partition("=")[0] for line in lines] == [
        "MAX_FAIL_RATIO", "MAX_TTFT_P95", "MAX_P95", "MIN_TOKENS_PER_SECOND",
    ]  # fmt: skip


def test_some_failures_may_be_allowed():
    assert broken(replace(GOOD, failures=3), Limits(fail_ratio=0.03)) == []


def test_a_run_without_a_finished_request_never_passes():
    assert broken(replace(GOOD, requests=0), Limits(fail_ratio=1)) == ["no request was finished"]


def test_a_limit_on_what_was_not_measured_is_broken():
    assert broken(replace(GOOD, ttft_p95=None), Limits(ttft_p95=100)) == ["MAX_TTFT_P95=100ms: nothing was measured"]
