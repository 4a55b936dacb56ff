"""A worker that fails is left alone for a while, tried with one request, and comes back slowly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.balance.breaker import FIRST_OUT, LONGEST_OUT, SLOW_START, THRESHOLD, Breaker

MIDDLE = 0.5
"""A chance that leaves the time out as it is."""


def fail(breaker, now=0.0):
    """One request that is sent and fails."""
    breaker.failed(now, MIDDLE, trial=breaker.sent())


def failing(times):
    breaker = Breaker()
    for _ in range(times):
        fail(breaker)
    return breaker


def test_a_few_failures_are_forgiven():
    assert failing(THRESHOLD - 1).admits(0.0)


def test_failures_in_a_row_take_a_worker_out():
    breaker = failing(THRESHOLD)
    assert [breaker.admits(0.0), breaker.admits(FIRST_OUT - 0.1), breaker.admits(FIRST_OUT)] == [False, False, True]
    assert breaker.out_until == FIRST_OUT


def test_a_success_between_failures_starts_the_count_again():
    breaker = failing(THRESHOLD - 1)
    breaker.worked(0.0, trial=breaker.sent())
    fail(breaker)
    assert breaker.admits(0.0)


def test_half_open_lets_one_request_through():
    breaker = failing(THRESHOLD)
    assert breaker.sent()
    assert not breaker.admits(FIRST_OUT)


@pytest.mark.parametrize(("trip", "out"), [(1, 5.0), (2, 10.0), (3, 20.0), (4, 40.0), (5, 60.0), (20, 60.0)])
def test_each_further_failure_doubles_the_time_out(trip, out):
    """Five seconds, doubled each time, at most sixty."""
    breaker, now = failing(THRESHOLD), 0.0
    for _ in range(trip - 1):
        now += LONGEST_OUT
        fail(breaker, now)
    assert [breaker.admits(now + out - 0.01), breaker.admits(now + out)] == [False, True]


def test_failures_that_were_under_way_when_it_went_out_do_not_lengthen_it():
    """A worker that dies under 100 requests died once, not 100 times."""
    breaker = Breaker()
    trials = [breaker.sent() for _ in range(100)]
    for trial in trials:
        breaker.failed(0.0, MIDDLE, trial=trial)
    assert breaker.admits(FIRST_OUT)


def test_failures_of_what_had_to_be_sent_although_it_is_out_do_not_lengthen_it_each():
    """The last worker of a pool is never left alone: a hundred requests at once are one trial."""
    breaker = failing(THRESHOLD)
    trials = [breaker.sent() for _ in range(100)]
    for trial in trials:
        breaker.failed(0.0, MIDDLE, trial=trial)
    assert breaker.admits(2 * FIRST_OUT)


def test_a_late_success_of_an_old_request_does_not_bring_it_back():
    """It was sent before the worker failed and says nothing about now."""
    breaker = failing(THRESHOLD)
    breaker.worked(0.1, trial=False)
    assert not breaker.admits(0.2)


def test_an_old_request_that_ends_does_not_let_a_second_trial_in():
    """The invariant: while half-open, at most one request is on its way to find out."""
    breaker = failing(THRESHOLD)
    breaker.sent()
    breaker.unknown(trial=False)
    breaker.failed(0.0, MIDDLE, trial=False)
    assert not breaker.admits(FIRST_OUT)


def test_chance_spreads_the_returns():
    """Workers that failed together do not come back together."""
    early, late = Breaker(), Breaker()
    for _ in range(THRESHOLD):
        early.failed(0.0, 0.0, trial=False)
        late.failed(0.0, 1.0, trial=False)
    assert [early.admits(0.8 * FIRST_OUT), late.admits(1.19 * FIRST_OUT)] == [True, False]


def test_a_worker_that_came_back_takes_its_share_slowly():
    breaker = failing(THRESHOLD)
    breaker.worked(10.0, trial=breaker.sent())
    weights = [breaker.weight(10.0 + share * SLOW_START) for share in (0.0, 0.5, 1.0, 2.0)]
    assert (breaker.admits(10.0), weights) == (True, [0.1, 0.5, 1.0, 1.0])


def test_a_trial_that_says_nothing_lets_the_next_one_try():
    """The client left: the worker is neither good nor bad."""
    breaker = failing(THRESHOLD)
    breaker.unknown(trial=breaker.sent())
    assert breaker.admits(FIRST_OUT)


def test_a_worker_that_asks_for_rest_gets_it():
    """429/503 with Retry-After: not before then."""
    breaker = Breaker()
    breaker.rests(7.0)
    assert [breaker.admits(6.9), breaker.admits(7.0)] == [False, True]


ENDS = st.lists(st.sampled_from(["worked", "failed", "unknown"]), max_size=40)


@given(ENDS, st.floats(0, 1))
def test_whatever_happens_a_worker_is_tried_again(ends, chance):
    """It is never out for more than the longest time, once nothing is under way."""
    breaker = Breaker()
    for end in ends:
        trial = breaker.sent()
        {
            "worked": lambda trial: breaker.worked(0.0, trial=trial),
            "failed": lambda trial: breaker.failed(0.0, chance, trial=trial),
            "unknown": lambda trial: breaker.unknown(trial=trial),
        }[end](trial)
    assert breaker.admits(1.2 * LONGEST_OUT + 0.001)  # spread by a fifth, and rounded
    assert 0.1 <= breaker.weight(0.0) <= 1.0
