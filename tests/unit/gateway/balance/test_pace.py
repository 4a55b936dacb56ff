"""How fast a pool serves, from what it has served."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.balance.pace import LONGEST, SHORTEST, Pace


def served(*moments):
    rate = Pace()
    for moment in moments:
        rate.served(moment, busy=True)
    return rate


def test_a_promise_is_the_requests_ahead_times_the_mean_interval():
    assert served(0.0, 0.5, 1.0, 1.5).wait_for(10) == pytest.approx(5.0)


def test_without_a_past_the_promise_is_the_shortest():
    assert [Pace().wait_for(100), served(7.0).wait_for(100)] == [SHORTEST, SHORTEST]


def test_idle_time_says_nothing_about_speed():
    """A pause in which nobody waited must not make the pool look slow."""
    rate = served(0.0, 0.5)
    rate.served(1.0, busy=False)
    rate.served(1000.0, busy=True)
    rate.served(1000.5, busy=True)
    assert rate.wait_for(10) == pytest.approx(5.0)


@given(st.lists(st.floats(0, 1e9)).map(sorted), st.integers(0, 10**6))
def test_every_promise_is_within_its_bounds(moments, ahead):
    assert SHORTEST <= served(*moments).wait_for(ahead) <= LONGEST
