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


@pytest.mark.parametrize(
    ("external", "name", "key"), [({"served_name": "base", "key": "k"}, "base", "k"), ({}, "m", "")]
)
async def test_the_registry_says_what_a_worker_calls_the_model_and_which_key_it_takes(external, name, key) -> None:
    """Whatever the worker lists."""
    spec = ModelSpec(engine="vllm", launcher="external", urls=["http://h:1"], external=external)
    seat = Seat("m", 0, spec, VLLM, None, address="http://h:1")
    async with External().place(seat) as placed:
        assert (placed.url, placed.key, External().served_name(seat, ["m", "base"])) == ("http://h:1", key, name)
