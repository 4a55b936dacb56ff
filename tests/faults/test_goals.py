"""The short forms of the long runs (`make soak GOAL=…`): the same code at a small scale."""

from __future__ import annotations

import pytest

from loadtests.soak.goals import GOALS
from loadtests.soak.goals.goal import wrong

SCALES = {
    "streams": 0.02,
    "killed": 0.03,
    "idle": 0.03,
    "leak": 0.01,
    "leavers": 0.03,
    "malformed": 0.01,
    "reloads": 0.02,
    "words": 0.05,
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", GOALS)
async def test_nothing_goes_wrong(name: str):
    """Right and wrong only: figures depend on the machine."""
    findings = await GOALS[name].run(SCALES[name])
    assert wrong(findings) == []
    assert len(findings) > 2
