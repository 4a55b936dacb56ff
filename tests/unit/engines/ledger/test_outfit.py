"""Which adapters a worker is started with."""

from __future__ import annotations

import pytest

from engines.ledger.outfit import Worn, chosen, invited
from engines.thrift import Thrift


@pytest.mark.parametrize(
    ("pinned", "tried", "due", "refused", "slots", "names"),
    [
        ("", "", "", "", 4, ""),
        ("", "", "abc", "", 2, "ab"),
        ("c", "", "abc", "", 2, "ac"),
        ("c", "d", "abc", "", 2, "cd"),
        ("c", "d", "abc", "d", 2, "ac"),
        ("c", "cd", "cdab", "", 3, "acd"),
    ],
)
def test_what_is_pinned_comes_first_and_what_is_ordered_next(pinned, tried, due, refused, slots, names):
    """As many as there are slots; what was refused is none of them."""
    assert chosen(pinned, tried, due, refused, slots) == frozenset(names)


@pytest.mark.parametrize(
    ("worn", "used", "wanted", "pinned", "slots", "age", "names"),
    [
        ("a", "", "b", "", 1, 10.0, "b"),
        ("a", "", "b", "", 1, 9.9, ""),
        ("a", "a", "b", "", 1, 39.9, ""),
        ("a", "a", "b", "", 1, 40.0, "b"),
        ("a", "", "a", "", 1, 99.0, ""),
        ("a", "", "b", "a", 1, 99.0, ""),
        ("ab", "b", "c", "", 2, 99.0, "cb"),
        ("ab", "", "c", "", 3, 99.0, "cab"),
        ("ab", "", "cde", "", 2, 99.0, "cd"),
        ("ab", "", "c", "b", 2, 99.0, "c"),
    ],
)
def test_what_waits_comes_when_the_others_have_stayed_for_a_multiple_of_a_start(
    worn, used, wanted, pinned, slots, age, names
):
    """Longer where they are used; what stays is used, or was used last. What is pinned stays in any case."""
    thrift = Thrift(idle=1.0, busy=4.0)
    wears = Worn(frozenset(worn), since=100.0, takes=10.0, used=frozenset(used))
    assert invited(wears, wanted, "abcde", pinned, slots, 100.0 + age, thrift) == tuple(names)
