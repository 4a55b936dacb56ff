"""How options become words that argparse reads as they were meant."""

from __future__ import annotations

import pytest

from engines.engine import LaunchRefused
from engines.flags import Spelling, requests, spelled

ALWAYS = Spelling("vllm", negates=lambda _: True)
NEVER = Spelling("lmdeploy", negates=lambda _: False)


def test_names_get_dashes_up_to_their_dot():
    """What follows the dot is the engine's own."""
    assert spelled({"a_b.c_d": 1, "e_f": 2}) == {"a-b.c_d": 1, "e-f": 2}


def test_false_is_said_where_the_engine_can_hear_it():
    """Elsewhere a flag that is left out is false."""
    assert ALWAYS.argv({"x": False, "y": True}) == ["--no-x", "--y"]
    assert NEVER.argv({"x": False, "y": True}) == ["--y"]


def test_values_stay_values():
    """With `=`, whatever they begin with."""
    assert NEVER.argv({"x": -1, "y": "--z", "l": ["-a"]}) == ["--x=-1", "--y=--z", "--l=-a"]
    assert NEVER.argv({"l": ["a", "b"], "m": {"k": 1}}) == ["--l", "a", "b", '--m={"k":1}']


def test_a_list_that_cannot_be_said_is_refused_by_name():
    """The second item would be a flag."""
    with pytest.raises(LaunchRefused, match=r"options\.lmdeploy\.l: '-b'"):
        NEVER.argv({"l": ["a", "-b"]})


@pytest.mark.parametrize("option", ["many", 0, -4, 1.5, True, None, [4], {"a": 1}, "9" * 5000, "²"])
def test_what_is_no_number_of_requests_is_the_usual_one(option):
    """The engine's parser says what is wrong with it, and `check` asks that parser: it must come so far."""
    assert (requests(option, 7), requests("016", 7), requests(16, 7)) == (7, 16, 16)
