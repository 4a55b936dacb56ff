"""Traces are what their names say, and the same for the same seed."""

from __future__ import annotations

from collections import Counter

import pytest

from loadtests.adapters.traces import TRACES, Shape, names, scan, shift, zipf

SHAPE = Shape(requests=400)


@pytest.mark.parametrize("name", TRACES)
def test_a_seed_gives_one_trace_in_the_order_of_time(name):
    """So that every policy gets the same one."""
    first, again = TRACES[name](SHAPE, 1), TRACES[name](SHAPE, 1)
    assert [first, len(first)] == [again, SHAPE.requests]
    assert sorted(first, key=lambda ask: ask.at) == list(first)


def test_zipf_asks_for_the_first_most():
    """About 1/H(12), a third of all."""
    asked = Counter(ask.adapter for ask in zipf(SHAPE, 1))
    assert asked.most_common(1)[0][0] == names(SHAPE.adapters)[0]


def test_a_scan_asks_for_each_once_before_any_again():
    """That is what hurts whoever evicts the least recently used."""
    assert [ask.adapter for ask in scan(SHAPE, 1)][:24] == [*names(12), *names(12)]


def test_a_shift_makes_others_hot():
    """In every quarter."""
    trace = shift(SHAPE, 1)
    hottest = [Counter(ask.adapter for ask in trace[at : at + 100]).most_common(1)[0][0] for at in (0, 100, 200, 300)]
    assert len(set(hottest)) == 4
