"""Workers of somebody else: which name they go by."""

from __future__ import annotations

import pytest

from engines.launchers.external import External
from engines.launchers.launcher import Seat
from engines.vllm import VLLM
from registry.spec import ModelSpec


@pytest.mark.parametrize(
    ("listed", "expected"),
    [(("m",), "m"), (("other",), "other"), (("m", "other"), "m"), (("a", "b"), "m"), ((), "m")],
)
def test_the_one_other_name_is_taken(listed: tuple[str, ...], expected: str) -> None:
    """Ours where it is known; the only one there is; else ours, which the worker will refuse in its own words."""
    seat = Seat("m", 0, ModelSpec(engine="vllm", launcher="external", urls=["http://h:1"]), VLLM, None)
    assert External().served_name(seat, listed) == expected
