"""Durations are what people write; anything else is refused by a rule that does not repeat it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry import durations


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2s", 2.0),
        ("500ms", 0.5),
        ("15m", 900.0),
        ("1h", 3600.0),
        ("1.5s", 1.5),
        (30, 30.0),
        (0.25, 0.25),
        ("off", None),
    ],
)
def test_a_duration_is_read_in_seconds(text, seconds):
    assert durations.parse(text) == seconds


@pytest.mark.parametrize(
    "value", ["", "2", "s", "-1s", "0s", "2 s", "1h30m", "inf", "nan", "٣s", "721h", True, False, None, [], 0, -3, 1e12]
)
def test_what_is_no_duration_is_refused(value):
    """Zero, negative, unbounded and unit-less text are no durations; a truth value is no number."""
    with pytest.raises(ValueError, match="must be"):
        durations.parse(value)


def test_off_is_refused_where_a_limit_is_needed():
    with pytest.raises(ValueError, match="cannot be off"):
        durations.bounded("off")


@settings(deadline=None)
@given(st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.none()))
def test_any_value_is_a_positive_finite_duration_or_refused(value):
    """Nothing but ValueError comes out, and no result is one that a timer would choke on."""
    try:
        seconds = durations.parse(value)
    except ValueError:
        return
    assert seconds is None or (math.isfinite(seconds) and seconds > 0)


@settings(deadline=None)
@given(st.integers(min_value=1, max_value=86_400), st.sampled_from(["ms", "s"]))
def test_a_number_with_a_unit_is_that_many_units(count, unit):
    assert durations.parse(f"{count}{unit}") == pytest.approx(count * {"ms": 0.001, "s": 1}[unit])
