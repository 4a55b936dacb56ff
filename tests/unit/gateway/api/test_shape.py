"""What the JSON as a whole may be, against slow references."""

from __future__ import annotations

import contextlib
import json

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.api import shape
from gateway.api.body import decode
from gateway.errors import InvalidRequest

# ---- references


def pairs(text):
    return json.loads(text, object_pairs_hook=list)


def depth(value):
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


# ---- arbitrary spellings of JSON


BLANKS = st.sampled_from(["", "", " ", "\n  "])
NAMES = st.sampled_from(['"a"', '"b"', '"\\u0061"', '"é"', '""', '"c\\\\"', '"a b"', '"\\u0022"', '"d\\""'])
TEXTS = st.text(st.sampled_from('a"\\{}[],:1e é\n'), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
).map(json.dumps)


@st.composite
def objects(draw):
    """A JSON object with a model, other fields, some of them twice, and blanks wherever they may be."""
    fields = [('"model"', '"m"'), *draw(st.lists(st.tuples(NAMES, VALUES), max_size=5))]
    fields = draw(st.permutations(fields))
    blank = (lambda: draw(BLANKS)) if draw(st.booleans()) else (lambda: "")
    spelled = (f"{blank()}{name}{blank()}:{blank()}{value}{blank()}" for name, value in fields)
    return f"{blank()}{{{','.join(spelled)}}}{blank()}".encode()


# ---- rules


@given(objects())
@example(b'{"model": "m", "a": 1, "a": 1}')
@example(b'{"model":"m","a":0,"a":0}')
@example(b'{ "model":"m","":0,"":0}')
def test_a_name_twice_is_found_in_every_spelling(body):
    """A name with a quotation mark is refused too: the count cannot tell it from a name that comes twice."""
    names = [name for name, _ in pairs(body)]
    doubled = len(set(names)) < len(names)
    fields = json.loads(body)
    raws = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    found = shape.doubled(body, raws, b"".join(raws.values()))
    assert found or not doubled
    assert doubled or not found or any('"' in name for name in fields)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"model":"m","stream":true,"stream":false}', "stream"),
        (b'{"model":"m","model":"m"}', "model"),
        (b'{ "model": "m", "a": [1], "n": 1,\n "a": {"n": "model"}}', "a"),
        (b'{"model":"m","mod\\u0065l":"x"}', None),
    ],
)
def test_a_doubled_name_is_named(body, param):
    with pytest.raises(InvalidRequest, match="twice") as caught:
        decode(body)
    assert caught.value.param == param


@pytest.mark.parametrize("inner", [b'{"a":1,"a":1}', b'["model","model"]', b'"\\"model\\":"'])
def test_only_the_top_counts(inner):
    """Deeper ones every engine's parser reads alike."""
    decode(b'{"model":"m","x":%b}' % inner)


@given(VALUES)
def test_depth_is_exact(value):
    """At every limit that the fast way is not asked about."""
    brackets = shape._brackets(value.encode())
    levels = depth(json.loads(value))
    assert not shape._deeper(brackets, levels)
    assert levels == 0 or shape._deeper(brackets, levels - 1)


NESTS = {
    "arrays": lambda levels: b"[" * levels + b"]" * levels,
    "objects": lambda levels: b'{"a":' * levels + b"1" + b"}" * levels,
    "mixed": lambda levels: b'[{"a":' * (levels // 2) + (b"[]" if levels % 2 else b"1") + b"}]" * (levels // 2),
    "beside others": lambda levels: b"[" + b"[],{}," * 500 + b"[" * (levels - 1) + b"]" * levels,
    "beside strings": lambda levels: b'["' + b'}]\\"\\\\' * 99 + b'",' + b"[" * (levels - 1) + b"]" * levels,
    "beside long lists": lambda levels: b"[" + b"1," * 20_000 + b"[" * (levels - 1) + b"]" * levels,
    "in an item": lambda levels: b'[{"a":"[{[{[{","b":' + b"[" * (levels - 2) + b"]" * (levels - 2) + b"}]",
}  # fmt: skip


@pytest.mark.parametrize("nest", NESTS.values(), ids=NESTS.keys())
def test_sixty_four_levels_pass_and_one_more_does_not(nest):
    """The body itself is the first."""
    decode(b'{"model":"m","x":%b}' % nest(63))
    with pytest.raises(InvalidRequest, match="nested too deeply: more than 64 levels"):
        decode(b'{"model":"m","x":%b}' % nest(64))


def test_brackets_in_strings_are_no_nesting():
    decode(json.dumps({"model": "m", "messages": [{"role": "user", "content": '[{"\\' * 5000}]}).encode())


def test_the_number_of_fields_is_bounded():
    fields = {f"f{number}": number for number in range(255)}
    decode(json.dumps({"model": "m"} | fields).encode())
    with pytest.raises(InvalidRequest, match="more than 256 fields"):
        decode(json.dumps({"model": "m", "last": 1} | fields).encode())


CROWDS = {
    "numbers": (b"1,", shape.VALUES),
    "arrays": (b"[],", shape.CONTAINERS),
    "objects": (b"{},", shape.CONTAINERS),
    "strings": (b'"",', shape.STRINGS),
    "strings like arrays": (b'"[",', shape.STRINGS),
}


@pytest.mark.parametrize(("one", "most"), CROWDS.values(), ids=CROWDS.keys())
def test_a_body_may_not_hold_a_multitude(one, most):
    """What has to be looked at value by value is refused before that takes long."""
    body = b'{"model":"m","messages":"' + b" " * shape.ROOMY + b'","metadata":[%b0]}'
    decode(body % (one * (most - 16)))
    with pytest.raises(InvalidRequest, match="too much at once"):
        decode(body % (one * (most + 1)))


@pytest.mark.parametrize("text", ["1,2\n", '{"a": ["\\\\", 1]}, '])
def test_what_a_string_says_is_no_multitude(text):
    """Tables, programs and JSON are sent as texts."""
    decode(json.dumps({"model": "m", "messages": [{"role": "user", "content": text * 150_000}]}).encode())


@given(objects() | st.binary(max_size=60).map(lambda noise: b'{"model":"m",' + noise + b"}"))
def test_what_passes_is_json_without_doubled_names(body):
    """And whatever does not pass is refused, not a fault of ours."""
    with contextlib.suppress(InvalidRequest):
        decode(body)
        names = [name for name, _ in pairs(body)]
        assert len(set(names)) == len(names)
        assert depth(json.loads(body)) <= 64


@given(st.data())
def test_a_damaged_body_is_refused_or_still_json(data):
    """One byte of a good body is replaced or cut out."""
    good = b'{"model": "m", "messages": [{"role": "user", "content": "\\ud83d\\ude00 \\"{"}], "n": 1e0, "seed": 12}'
    at = data.draw(st.integers(0, len(good) - 1))
    bad = good[:at] + data.draw(st.binary(max_size=2)) + good[at + 1 :]
    with contextlib.suppress(InvalidRequest):
        decode(bad)
        json.loads(bad)


@pytest.mark.parametrize("half", [b"\\ud800", b"\\uDC00 and more", b"\\ud83d\\n and more", b"\\ud83d\\u0041 and more"])
def test_half_a_character_is_called_that(half):
    """Engines fail on it with a 500 of their own."""
    with pytest.raises(InvalidRequest, match="half a character"):
        decode(b'{"model":"m","x":"%b"}' % half)
