"""Splicing changes what it is told to and nothing else, for any JSON object."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.splice import renamed, with_fields

TEXT = st.text(st.characters(exclude_categories=("Cs",)))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
OPTIONS = st.none() | st.dictionaries(st.sampled_from(["include_usage", "continuous_usage_stats", "x"]), VALUES)
OBJECTS = st.dictionaries(TEXT.filter(lambda name: name != "stream_options"), VALUES, max_size=5).flatmap(
    lambda fields: st.fixed_dictionaries({}, optional={"model": VALUES, "stream_options": OPTIONS}).map(
        lambda extra: fields | extra
    )
)


@given(
    body=OBJECTS,
    ascii_only=st.booleans(),
    indent=st.sampled_from([None, 1]),
    model=st.none() | TEXT,
    usage=st.booleans(),
)
def test_only_the_asked_fields_change(
    *, body: dict, ascii_only: bool, indent: int | None, model: str | None, usage: bool
) -> None:
    """Whatever the client's spelling of its JSON, the rest of the object means the same afterwards."""
    sent = json.dumps(body, ensure_ascii=ascii_only, indent=indent).encode()
    expected = dict(body)
    if model is not None:
        expected["model"] = model
    if usage:
        expected["stream_options"] = (body.get("stream_options") or {}) | {"include_usage": True}
    assert json.loads(with_fields(sent, model=model, include_usage=usage)) == expected


def test_values_keep_their_bytes() -> None:
    """A re-serialised 1.10 would be 1.1, and é would lose its escape."""
    sent = rb'{"model": "a", "x": 1.10, "y": "\u00e9", "z":[1,  2]}'
    assert with_fields(sent, model="b", include_usage=False) == rb'{"model":"b","x":1.10,"y":"\u00e9","z":[1,  2]}'


def test_usage_alone_costs_one_insertion() -> None:
    assert with_fields(b'{"a":1}', model=None, include_usage=True) == b'{"stream_options":{"include_usage":true},"a":1}'


def test_an_escaped_name_is_still_found() -> None:
    """The quick way looks for the name's bytes; a client may have escaped them."""
    spliced = with_fields(rb'{"stream\u005foptions":{"x":1}}', model=None, include_usage=True)
    assert json.loads(spliced) == {"stream_options": {"x": 1, "include_usage": True}}


def test_of_doubled_fields_the_last_counts() -> None:
    spliced = with_fields(b'{"model":"a","n":1,"model":"b","n":2}', model="c", include_usage=False)
    assert spliced == b'{"model":"c","n":2}'


def test_what_the_engine_must_refuse_stays() -> None:
    """`stream_options: 5` is the client's mistake; the engine's error says so better than we could."""
    spliced = with_fields(b'{"stream_options": 5}', model=None, include_usage=True)
    assert json.loads(spliced) == {"stream_options": 5}


@pytest.mark.parametrize("body", [b"[]", b"{", b"", b"null", b'{"a":1}x'])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        with_fields(body, model="m", include_usage=False)


def test_a_field_gets_another_name_and_keeps_its_place():
    """Only where it is there; the new name counts where both are."""
    names = {"a": "b"}
    assert renamed(b'{"x":1,"a":2,"y":3}', names) == b'{"x":1,"b":2,"y":3}'
    assert renamed(b'{"a":2,"b":3}', names) == b'{"b":3}'
    body = b'{"x":"abacus"}'
    assert renamed(body, names) is body
