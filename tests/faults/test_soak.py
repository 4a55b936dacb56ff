"""The soak's short form: half a minute of `make soak`."""

from __future__ import annotations

import pytest

from loadtests.soak.__main__ import run
from tests.faults.stage import SEED, Measure


@pytest.mark.timeout(200)
async def test_half_a_minute_of_kills_leaves_nothing_unexplained(measured: Measure):
    """Killed workers under mixed load, four on a quick machine: every failure is a stream that was on one of them, told
    exactly once. On a slow one the memory has not settled after half a minute: what it grows by is judged as elsewhere.
    """
    report = await run(30, 6, SEED)
    assert (report.unexplained, report.left, report.bugs) == ([], [], 0), report.text()
    assert report.grown < 24, report.text()
    assert report.kills
    slowest = max(result.ended - result.began for result in report.results if result.good)
    measured("1", f"slowest of {len(report.results)} requests of a soak with {len(report.kills)} kills", slowest)
