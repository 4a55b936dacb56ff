"""Who is replaced, and when: one by one, and never who serves for nobody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.supervisor.renewal import Aim, Dressed, lacking, relieved, stale, trying


def crew(who: str) -> tuple[Dressed, ...]:
    """A letter is what a worker was started with; an upper-case one's is ready."""
    return tuple(Dressed(number, frozenset(each.lower()), each.isupper()) for number, each in enumerate(who))


def aim(count: int, how: str = "") -> Aim:
    return Aim(count, frozenset("n"), hold="hold" in how, tight="tight" in how)


@pytest.mark.parametrize(
    ("present", "wanted", "comes", "goes"),
    [
        ("OO", aim(2), 1, ()),
        ("OOn", aim(2), 0, ()),
        ("OON", aim(2), 0, (1,)),
        ("OON", aim(2, "hold"), 0, ()),
        ("ON", aim(2), 1, ()),
        ("oON", aim(2), 0, (0,)),
        ("O", aim(2), 1, ()),
        ("OOOn", aim(1), 0, (1, 2)),
        ("OO", aim(2, "tight"), 0, (1,)),
        ("O", aim(2, "tight"), 1, ()),
        ("On", aim(2, "tight"), 0, ()),
        ("ON", aim(2, "tight"), 0, (0,)),
        ("ON", aim(2, "tight hold"), 0, ()),
        ("OO", aim(2, "tight hold"), 0, (1,)),
    ],
)
def test_one_comes_and_is_ready_before_one_goes(present, wanted, comes, goes):
    """Where there is no room for one more, one goes before one comes."""
    assert (lacking(crew(present), wanted), relieved(crew(present), wanted)) == (comes, goes)


def test_what_the_first_is_started_with_stays_until_it_serves():
    assert [trying(crew(who), aim(2)) for who in ("OO", "OOn", "ON", "Nn", "n")] == [False, True, False, False, True]


@given(st.text("abnABN", max_size=9), st.integers(1, 6), st.booleans())
def test_all_are_replaced_in_the_end_and_somebody_serves_at_all_times(present, count, tight):
    """Whatever there is to begin with; but where there is no room, the only one goes first."""
    sitting, served = list(crew(present)), any(each.isupper() for each in present)
    wanted, number = aim(count, "tight" if tight else ""), len(present)
    for _ in range(100):
        if not any(stale(each, wanted) for each in sitting):
            break
        gone = relieved(sitting, wanted)
        sitting = [each for each in sitting if each.number not in gone]
        assert not served or (tight and count == 1) or any(each.ready for each in sitting)
        for _ in range(lacking(sitting, wanted)):
            sitting.append(Dressed(number, wanted.outfit, ready=False))
            number += 1
        if not gone:
            sitting = [Dressed(each.number, each.outfit, ready=True) for each in sitting]
            served = True
    assert not any(stale(each, wanted) for each in sitting)
