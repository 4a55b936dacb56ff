"""Who takes part."""

import pytest

from loadtests.bench.contestants import chosen


def test_peers_take_part_only_when_asked_for() -> None:
    """They are half a gigabyte of packages."""
    assert [who.name for who in chosen([], peers=False)] == ["direct", "nginx", "enginehouse"]


def test_what_everything_is_compared_with_always_takes_part() -> None:
    """Whoever is named, direct and nginx run in the same rounds."""
    assert [who.name for who in chosen(["smg"], peers=False)] == ["direct", "nginx", "smg"]


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    """A typing mistake must not look like a result."""
    with pytest.raises(SystemExit, match="no contestant is called smq; there are direct"):
        chosen(["smq"], peers=False)
