"""Large numbers are found wherever and however they are spelled, and nothing else is."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.api import numbers
from gateway.api.numbers import LARGEST, too_large

SPELLED = st.from_regex(
    r"-?(0|[1-9][0-9]{0,18})(\.[0-9]{1,18})?([eE][-+]?[0-9]{1,3})?",
    fullmatch=True,
    alphabet=st.characters(codec="ascii"),
)
BESIDE = st.sampled_from(
    ["1", '"9e99"', '"\\"12345678901234567"', "true", "false", "null", "[]", '{"a":0.12345678901234567}']
)


@given(SPELLED, st.lists(BESIDE, max_size=3), st.sampled_from([",", ", ", " ,\n\t"]))
@example("1e-9007199254740993", [], ",")
@example("12345678901234567e-5", [], ",")
@example("9007199254740993", ['"\\\\"'], ",")
def test_a_number_is_too_large_as_decimal_says(spelled, beside, comma):
    """Among others, in texts and out of them. Just at the limit a double is as good as what was written."""
    exact = abs(Decimal(spelled))
    value = f"[{comma.join([*beside, spelled, *beside])}]".encode()
    if abs(exact - LARGEST) > 1 or spelled.lstrip("-").isdigit():
        assert too_large([("x", value)]) == ("x" if exact > LARGEST else None)


@given(st.recursive(st.text() | st.floats(-1e15, 1e15), lambda inner: st.lists(inner, max_size=3), max_leaves=8))
def test_what_a_text_says_is_no_number(value):
    assert too_large([("x", json.dumps([value, "12345678901234567", '"1e99']).encode())]) is None


@pytest.mark.parametrize("spelled", ["1" * 5000, "0." + "0" * 5000 + "1e9", "1e" + "9" * 5000, "1" * 5000 + "e-4990"])
def test_what_nobody_would_spell_is_not_read(spelled):
    assert too_large([("x", spelled.encode())]) == "x"


def test_it_is_the_first_that_is_named():
    large = b"[1,1e17]"
    assert too_large([("a", b"1"), ("b", b'"1e17"'), ("c", large), ("d", large)]) == "c"


@pytest.mark.parametrize("spelled", [b"1e0", b"1234567890123456"])
def test_a_multitude_of_numbers_that_might_be_too_large_is(spelled):
    """All fields count together: reading each would take long."""
    half = b"[%b]" % b",".join([spelled] * (numbers.SUSPECTS // 2))
    assert too_large([("a", half), ("b", half)]) is None
    assert too_large([("a", half), ("b", half), ("c", spelled)]) == "c"
