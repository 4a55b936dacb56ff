"""Which seats are to be taken, and whose worker may leave."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.supervisor.seating import Sitting, dismissed, first_free, vacancies


def crew(*addresses: str) -> tuple[Sitting, ...]:
    """An upper-case address is that of a ready worker."""
    return tuple(Sitting(number, each.lower(), each.isupper()) for number, each in enumerate(addresses))


@pytest.mark.parametrize(
    ("present", "wanted", "comes", "goes"),
    [
        ((), "aa", "aa", ()),
        ("AA", "aa", "", ()),
        ("A", "aaa", "aa", ()),
        ("AAA", "a", "", (1, 2)),
        ("AaA", "aa", "", (1,)),
        ("aAA", "a", "", (0, 2)),
        ("AB", "bc", "c", (0,)),
        ("A", "b", "b", ()),
        ("Ab", "b", "", ()),
        ("AB", "b", "", (0,)),
        ("a", "b", "b", (0,)),
    ],
)
def test_what_is_missing_comes_and_what_is_too_much_goes(present, wanted, comes, goes):
    """Those first that do not serve, then the last ones; whoever serves stays until another one does."""
    assert ("".join(vacancies(crew(*present), tuple(wanted))), dismissed(crew(*present), tuple(wanted))) == (
        comes,
        goes,
    )


@given(st.text("abcABC", max_size=12), st.text("abc", min_size=1, max_size=8))
def test_somebody_serves_at_all_times(present, wanted):
    """Whatever is wanted: where a worker is ready, one that is ready stays."""
    sitting = crew(*present)
    leaving = dismissed(sitting, tuple(wanted))
    assert any(each.ready for each in sitting) == any(each.ready for each in sitting if each.number not in leaving)


def test_the_lowest_free_seat_is_taken():
    assert (first_free({}), first_free({0, 2}), first_free({0, 1})) == (0, 1, 2)
