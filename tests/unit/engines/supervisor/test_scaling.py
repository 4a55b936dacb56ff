"""How many workers a model has whose number follows its requests: decisions only."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.supervisor.scaling import Strength, Trend, decide, observe
from engines.thrift import Thrift

THRIFT = Thrift(idle=1.0, overdue=3.0, pressed=5.0, smooth=2.0)
TWO = Strength(least=1, most=4, size=2, ready=2, target=4.0, idle_after=60.0, load_time=10.0)
CALM = Trend(at=1000.0, load=0.0, size=2, grown=0.0)


class Pool:
    """A pool that becomes what is decided; who comes is ready after `load_time`."""

    def __init__(self, strength: Strength = TWO) -> None:
        self.strength, self.trend, self.now = strength, None, 0.0
        self.up_at, self.sizes = 0.0, [(0.0, strength.size)]

    def over(self, seconds: float, requests: int, step: float = 0.5) -> int:
        """So many requests for so long; the size at the end."""
        for _ in range(max(1, round(seconds / step))):
            self.now += step
            if self.now >= self.up_at:
                self.strength = replace(self.strength, ready=self.strength.size)
            self.trend = observe(self.trend, self.strength, requests, self.now, THRIFT)
            size = decide(self.trend, self.strength, THRIFT)
            if size > self.strength.size:
                self.up_at = self.now + self.strength.load_time
            if size != self.strength.size:
                self.sizes.append((self.now, size))
                self.strength = replace(self.strength, size=size, ready=min(self.strength.ready, size))
        return self.strength.size


def test_more_requests_than_the_workers_are_to_have_bring_more_workers():
    """After a while, and as many as are needed; a short rush brings none."""
    assert Pool().over(4.0, 12) == 2
    assert Pool().over(7.0, 12) == 3
    assert Pool().over(7.0, 1000) == 4


def test_while_workers_come_no_more_are_asked_for():
    """What waits for the first may be gone when it is there; one that does not come at all is not waited for."""
    coming = replace(TWO, ready=1)
    pressed = replace(CALM, load=12.0, pressed=900.0)
    assert decide(replace(pressed, grown=971.0), coming, THRIFT) == 2
    assert decide(replace(pressed, grown=970.0), coming, THRIFT) == 3


def test_workers_that_would_not_be_missed_go():
    """Once they have not been for long; as many stay as were needed at any time meanwhile."""
    pool = Pool(replace(TWO, size=4, ready=4))
    assert pool.over(59.0, 1) == 4
    assert pool.over(10.0, 1) == 1
    pool = Pool(replace(TWO, size=4, ready=4))
    pool.over(30.0, 1)
    pool.over(10.0, 9)
    assert pool.over(29.0, 1) == 3


def test_a_worker_stays_for_as_long_as_it_took_to_start():
    pool = Pool(replace(TWO, size=1, ready=1, idle_after=1.0))
    assert pool.over(7.0, 8) == 2
    (grown, _) = pool.sizes[-1]
    pool.over(60.0, 0)
    (shrunk, size) = pool.sizes[-1]
    assert (size, 20.0 <= shrunk - grown <= 21.0) == (1, True)


@pytest.mark.parametrize(("requests", "size"), [(0, 1), (4, 1), (5, 2), (8, 2), (9, 3), (16, 4), (400, 4)])
def test_under_a_steady_load_the_number_settles(requests, size):
    """From whatever it was, and stays."""
    for begin in range(1, 5):
        pool = Pool(replace(TWO, size=begin, ready=begin))
        assert pool.over(400.0, requests) == size
        before = list(pool.sizes)
        pool.over(400.0, requests)
        assert pool.sizes == before


@given(
    st.lists(st.tuples(st.floats(0.5, 50.0), st.integers(0, 40)), max_size=120),
    st.floats(0.1, 20.0),
    st.floats(1.0, 60.0),
)
def test_no_trace_makes_a_pool_thrash(trace, idle_after, load_time):
    """Whatever is asked for: it keeps to its range, and after each growth nobody goes for as long as it takes to load
    and as long again.
    """
    pool = Pool(replace(TWO, idle_after=idle_after, load_time=load_time))
    for seconds, requests in trace:
        pool.over(0.0, requests, step=seconds)
    assert all(1 <= size <= 4 for _, size in pool.sizes)
    grown = float("-inf")
    for (_, before), (at, size) in pairwise(pool.sizes):
        assert size > before or at - grown >= load_time * (1 + THRIFT.idle)
        grown = at if size > before else grown
