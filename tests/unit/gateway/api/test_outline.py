"""What stands outside of a JSON text's strings, against Python's own parser."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from gateway.api.outline import marks, numerals, outside

TEXTS = st.text(st.sampled_from('afrtn"\\{}[],:/u0 é\n\x07😀'), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def bare(value):
    if isinstance(value, (list, dict)):
        items = value.values() if isinstance(value, dict) else value
        return "{" + ",".join(map(bare, items)) + "}"
    return ""


@given(VALUES, st.booleans())
def test_brackets_and_commas_outside_of_strings_are_all_there(value, ascii_only):
    """However the strings are escaped."""
    text = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert outside(marks(text)).decode() == bare(value)


def strings(value):
    if isinstance(value, dict):
        return len(value) + sum(map(strings, value.values()))
    return sum(map(strings, value)) if isinstance(value, list) else isinstance(value, str)


@given(VALUES)
def test_the_quotes_are_two_for_each_string(value):
    assert marks(json.dumps(value).encode()).count(b'"') == 2 * strings(value)


def integers(value):
    if isinstance(value, (list, dict)):
        return [number for item in (value.values() if isinstance(value, dict) else value) for number in integers(item)]
    return [value] if type(value) is int else []


@given(VALUES)
def test_the_numbers_are_all_there_and_apart(value):
    found = numerals(json.dumps(value).encode()).split(b",")
    assert [int(number) for number in found if number.strip(b"ne")] == integers(value)


@given(st.binary(max_size=40) | st.text(st.sampled_from('\\"xNu{}[],0eE'), max_size=20).map(str.encode))
def test_what_is_no_json_is_no_fault(text):
    """Nor a warning of Python's codec, which minds unknown escapes and a last backslash."""
    outside(marks(text))
