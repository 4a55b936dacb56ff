"""What may be collected, and where the way back leads. Pure: no files, no clock."""

from dataclasses import replace

import pytest

from engines.store.keeping import Keep, before, removable
from engines.store.records import Move, Revision, Why

A = Revision("m", "pirate", "a" * 64, "/a", "ann", 0.0, 1, "", 4)
B = replace(A, digest="b" * 64)
C = replace(A, digest="c" * 64, current=True)
NAME = ("m", "pirate")
KEEP = Keep(last=1, seconds=10.0)


def moved(*steps):
    """A history: a digest's letter promotes, `-` removes, `<` goes back."""
    whys = {"-": Why.REMOVE, "<": Why.ROLLBACK}
    return [Move(0.0, "ann", whys.get(step, Why.PROMOTE), None, None if step in whys else step * 64) for step in steps]


def gone(*revisions, loaded=(), now=100.0, keep=KEEP):
    return {each.digest[0] for each in removable(revisions, {NAME: moved("a", "b", "c")}, loaded, now, keep)}


def test_what_nothing_needs_goes():
    assert gone(A, B, C) == {"a", "b"}


def test_what_an_alias_stands_for_stays():
    assert "c" not in gone(A, B, C)


def test_what_is_pinned_or_loaded_stays():
    assert gone(replace(A, pinned=True), B, C, loaded={B.digest}) == set()


def test_what_is_young_stays():
    """It may be on its way to a name."""
    assert gone(A, replace(B, added=95.0), C) == {"a"}


def test_the_way_back_stays():
    assert gone(A, B, C, keep=Keep(last=2, seconds=10.0)) == {"a"}


def test_a_name_that_was_removed_keeps_no_way_back():
    assert gone(A, B, replace(C, current=False), keep=Keep(last=9, seconds=10.0)) == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("steps", "leads"),
    [
        ("", None),
        ("a", None),
        ("ab", "a"),
        ("abc<", "a"),
        ("abc<<", None),
        ("ab<c", "a"),
        ("ab-", "b"),
        ("ab-<", "a"),
        ("a-b", "a"),
        ("a-b<", None),
    ],
)
def test_the_way_back_leads_one_step_each_time(steps, leads):
    assert before(moved(*steps)) == (leads and leads * 64)
