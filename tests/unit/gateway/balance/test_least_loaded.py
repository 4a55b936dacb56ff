"""The worker with the least load: exactly among few, by two at random among many."""

from __future__ import annotations

import heapq
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.balance.least_loaded import FEW, LeastLoaded
from gateway.balance.policies import POLICIES
from gateway.balance.policy import Reason
from gateway.balance.prefix import NO_PREFIX


def chosen(loads, chance=lambda: 0.0):
    return LeastLoaded(chance).choose({str(at): load for at, load in enumerate(loads)}, NO_PREFIX, 0.0)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=FEW))
def test_among_few_the_least_load_is_chosen_and_the_first_of_equals(loads):
    choice = chosen(loads)
    assert (choice.worker, choice.reason) == (str(loads.index(min(loads))), Reason.LEAST_LOADED)


@given(st.lists(st.floats(0, 1e6), min_size=FEW + 1, max_size=100), st.randoms(use_true_random=False))
def test_among_many_the_less_loaded_of_two_different_ones_is_chosen(loads, source):
    """So the most loaded of all is never chosen."""
    loads = [*loads, 2e6]
    choice = chosen(loads, source.random)
    assert (choice.worker != str(len(loads) - 1), choice.reason) == (True, Reason.LESS_LOADED_OF_TWO)


def test_two_choices_keep_many_workers_even():
    """After a hundred requests each, the fullest of 50 workers is a few requests above the mean."""
    policy, loads = LeastLoaded(random.Random(1).random), dict.fromkeys(map(str, range(50)), 0.0)
    for _ in range(5000):
        loads[policy.choose(loads, NO_PREFIX, 0.0).worker] += 1
    assert max(loads.values()) - min(loads.values()) <= 6


def test_gateways_that_know_nothing_of_each_other_do_not_run_after_one_worker():
    """Twenty gateways, each with its first request: no worker of fifty gets more than a few of them."""
    source, loads = random.Random(1), dict.fromkeys(map(str, range(50)), 1.0)
    first = Counter(LeastLoaded(source.random).choose(loads, NO_PREFIX, 0.0).worker for _ in range(20))
    assert max(first.values()) <= 4


@pytest.mark.parametrize("name", ["least_loaded", "prefix_affinity"])
def test_a_worker_ten_times_slower_gets_less_than_a_fifth(name):
    """Twenty clients that ask again when they are answered: after a second by the slow one, a tenth by the other."""
    policy, takes = POLICIES[name](random.Random(1).random), {"slow": 1.0, "quick": 0.1}
    loads, served = dict.fromkeys(takes, 1.0), Counter()
    events = [(number / 1000, "") for number in range(20)]
    while sum(served.values()) < 400:
        now, done = heapq.heappop(events)
        if done:
            loads[done] -= 1
        worker = policy.choose(loads, NO_PREFIX, now).worker
        loads[worker] += 1
        served[worker] += 1
        heapq.heappush(events, (now + takes[worker], worker))
    assert 0 < served["slow"] < 400 / 5


def test_it_is_found_by_its_name_in_the_registry():
    assert POLICIES["least_loaded"] is LeastLoaded
