"""The soak's short form: half a minute of `make soak`."""

from __future__ import annotations

import pytest

from loadtests.soak.__main__ import run
from tests.faults.stage import SEED, Measure


@pytest.mark.timeout(200)
async def test_half_a_minute_of_kills_leaves_nothing_unexplained(measured: Measure):
    """Four killed workers under mixed load: every failure is a stream that was on one of them, told exactly once."""
    report = await run(30, 6, SEED)
    assert report.passed, report.text()
    assert len(report.kills) >= 3
    slowest = max(result.ended - result.began for result in report.results if result.good)
    measured("1", f"slowest of {len(report.results)} requests of a soak with {len(report.kills)} kills", slowest)
