"""The worker with the least load."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.balance.least_loaded import least_loaded
from gateway.balance.policy import POLICIES


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_the_least_load_is_chosen_and_the_first_of_equals(loads):
    assert least_loaded(loads) == loads.index(min(loads))


def test_it_is_found_by_its_name_in_the_registry():
    assert POLICIES["least_loaded"] is least_loaded
