"""Which adapters a worker is started with."""

from __future__ import annotations

import pytest

from engines.ledger.outfit import chosen


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
