"""The soak's short form: half a minute of `make soak`."""

from __future__ import annotations

import pytest

from loadtests.soak.__main__ import run
from loadtests.soak.crew import Limits
from tests.faults.stage import SEED, Measure

GROWN = 12
"""MB from the middle of the run to its end. Measured in nine runs, five of them on one busy core: 0.2 to 2.7; from the
very start three to eight. After 15,000 requests the heap has settled at six to twelve (`test_client_leaves`); a run has
one or two thousand, so that no cold heap grows by more here, however late it settles.
"""


@pytest.mark.timeout(400)
async def test_half_a_minute_of_kills_leaves_nothing_unexplained(measured: Measure):
    """Three killed workers or more under mixed load: every failure is a stream that was on one of them, told exactly
    once. It lasts longer where a machine needs longer to start them anew.
    """
    report = await run(30, 6, SEED, Limits.lenient(), kills=3)
    assert (report.unexplained, report.left, report.bugs) == ([], [], 0), report.text()
    assert report.grown < GROWN, report.text()
    assert len(report.kills) >= 3
    slowest = max(result.ended - result.began for result in report.results if result.good)
    measured("1", f"slowest of {len(report.results)} requests of a soak with {len(report.kills)} kills", slowest)
