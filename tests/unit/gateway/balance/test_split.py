"""Which revision a user gets: the shares as asked, the same one every time, and as few moved as must be."""

from __future__ import annotations

from collections import Counter

import pytest

from gateway.balance.split import chosen
from registry.adapters import Share

A, B = "a" * 64, "b" * 64
USERS = [b"user-%d" % number for number in range(20_000)]


def allotted(a, b):
    return [chosen((Share(A, a), Share(B, b)), user) for user in USERS]


@pytest.mark.parametrize(("a", "b"), [(95, 5), (1, 1), (1, 99)])
def test_the_shares_are_as_asked(a, b):
    counts = Counter(allotted(a, b))
    assert counts[B] / len(USERS) == pytest.approx(b / (a + b), abs=0.01)


def test_a_weight_of_nothing_is_nobody():
    assert set(allotted(0, 1)) == {B}
    assert chosen((Share(A, 0),), b"user") == ""
    assert chosen((), b"user") == ""


def test_more_weight_moves_only_those_who_must():
    """From 5 to 20 in a hundred: whoever had the candidate keeps it, and 15 in a hundred get it."""
    before, after = allotted(95, 5), allotted(80, 20)
    moved = [(was, now) for was, now in zip(before, after, strict=True) if was != now]
    assert {*moved} == {(A, B)}
    assert len(moved) / len(USERS) == pytest.approx(0.15, abs=0.01)


def test_the_order_of_the_revisions_means_nothing():
    assert [chosen((Share(B, 1), Share(A, 1)), user) for user in USERS[:500]] == allotted(1, 1)[:500]
