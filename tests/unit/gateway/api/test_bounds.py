"""The bounds of single fields: just inside passes, just outside is a 400 that names the parameter."""

from __future__ import annotations

import json

import pytest

from gateway.api.body import decode
from gateway.api.numbers import LARGEST
from gateway.errors import InvalidRequest

TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}
LARGE = {"type": "object", "description": "x" * 65_536}


def ask(**fields):
    return decode(json.dumps({"model": "m"} | fields, separators=(",", ":")).encode())


def refused(param, **fields):
    with pytest.raises(InvalidRequest) as caught:
        ask(**fields)
    assert caught.value.param == param
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "limit"), [("n", 8), ("best_of", 8), ("logprobs", 20), ("top_logprobs", 20), ("prompt_logprobs", 20)]
)
def test_counts_have_a_limit(name, limit):
    """Below zero lies vLLM's "all of them"."""
    for inside in (0, 1, limit, float(limit), None, True):
        ask(**{name: inside})
    for outside in (limit + 1, -1, limit + 0.5, 10**30):
        assert f"between 0 and {limit}" in refused(name, **{name: outside})


@pytest.mark.parametrize("value", ["8", [8], {}])
def test_a_count_is_a_number(value):
    """Engines take a text for a number; then the text would have to be bounded too."""
    assert "Wrong type for 'n'" in refused("n", n=value)


def test_a_count_of_five_thousand_digits_is_refused():
    with pytest.raises(InvalidRequest) as caught:
        decode(b'{"model":"m","n":1' + b"0" * 5000 + b"}")
    assert caught.value.param == "n"


@pytest.mark.parametrize(
    ("name", "item", "limit"),
    [
        ("messages", {"role": "user", "content": "hi, you"}, 4096),
        ("messages", 1, 4096),
        ("input", {"role": "user", "content": "hi"}, 4096),
        ("input", "", 4096),
        ("documents", "x", 4096),
        ("prompt", "a,b", 64),
        ("prompt", [1, 2, 3], 64),
        ("stop", "x", 16),
        ("stop_sequences", "x", 16),
        ("stop_regex", "x", 16),
        ("tools", TOOL, 128),
        ("functions", TOOL, 128),
    ],
)
def test_lists_have_a_limit(name, item, limit):
    ask(**{name: [item] * limit})
    assert f"at most {limit} items" in refused(name, **{name: [item] * (limit + 1)})


@pytest.mark.parametrize("name", ["prompt", "input"])
def test_a_list_of_token_ids_is_one_prompt(name):
    ask(**{name: list(range(10_000))})


@pytest.mark.parametrize("name", ["messages", "prompt", "stop", "tools", "response_format", "structured_outputs"])
@pytest.mark.parametrize("value", [None, "x", 1, {}, []])
def test_values_of_another_kind_are_the_engines_to_judge(name, value):
    assert ask(**{name: value}).model == "m"


@pytest.mark.parametrize(
    ("param", "fields"),
    [
        ("response_format.json_schema", {"response_format": {"type": "json_schema", "json_schema": {"schema": LARGE}}}),
        ("structured_outputs.json", {"structured_outputs": {"json": LARGE}}),
        ("structured_outputs.grammar", {"structured_outputs": {"grammar": "x" * 65_537}}),
        ("structured_outputs.choice", {"structured_outputs": {"choice": ["x" * 65_536]}}),
        ("tools[1]", {"tools": [TOOL, {"type": "function", "function": {"parameters": LARGE}}]}),
        ("tools[0]", {"tools": [{"name": "f", "input_schema": LARGE}]}),
        ("text", {"text": {"format": {"schema": LARGE}}}),
        ("guided_json", {"guided_json": LARGE}),
        ("guided_grammar", {"guided_grammar": "x" * 65_537}),
    ],
)
def test_schemas_and_grammars_have_a_limit(param, fields):
    assert "at most 65536 bytes" in refused(param, **fields)


@pytest.mark.parametrize("text", ["x" * 65_536, "\n" * 65_536, "é" * 32_768])
def test_a_text_is_measured_by_its_own_bytes(text):
    """Not by those of its escapes."""
    ask(structured_outputs={"grammar": text})
    refused("structured_outputs.grammar", structured_outputs={"grammar": text + "x"})


@pytest.mark.parametrize(
    ("param", "wrap"),
    [
        ("regex", lambda regex: {"regex": regex}),
        ("guided_regex", lambda regex: {"guided_regex": regex}),
        ("stop_regex", lambda regex: {"stop_regex": regex}),
        ("structured_outputs.regex", lambda regex: {"structured_outputs": {"regex": regex}}),
        ("structured_outputs.whitespace_pattern", lambda regex: {"structured_outputs": {"whitespace_pattern": regex}}),
        ("response_format.regex_schema", lambda regex: {"response_format": {"regex_schema": regex}}),
    ],
)
def test_regular_expressions_have_a_limit(param, wrap):
    ask(**wrap("\\d" * 512))
    assert "at most 1024 bytes" in refused(param, **wrap("\\d" * 512 + "x"))


@pytest.mark.parametrize("name", ["seed", "max_tokens", "temperature", "anything"])
@pytest.mark.parametrize("number", [LARGEST + 1, -LARGEST - 1, 10**30, 1e300, -1e16, [[LARGEST + 1]], {"a": 1e17}])
def test_numbers_have_a_limit(name, number):
    assert "beyond ±9007199254740992" in refused(name, **{name: number})


@pytest.mark.parametrize("number", [LARGEST, -LARGEST, 0.30000000000000004, 1e-300, 1e15, "9" * 40, "1e99", ["2e+99"]])
def test_numbers_within_pass(number):
    """And texts, whatever they look like."""
    ask(seed=number, other=number)


@pytest.mark.parametrize(
    "number", ["1e999", "-1E+999", "1" + "0" * 400, "1" + "0" * 5000, "NaN", "Infinity", "-Infinity"]
)
def test_no_number_is_infinite(number):
    with pytest.raises(InvalidRequest):
        decode(b'{"model":"m","temperature":%b}' % number.encode())


@pytest.mark.parametrize("prompt", [[1, LARGEST + 1], [[1], [LARGEST + 1]]])
def test_token_ids_are_numbers_too(prompt):
    refused("prompt", prompt=prompt)


def test_numbers_in_schemas_and_earlier_calls_are_free():
    """A 64-bit id, or the bounds of a 64-bit integer: no engine computes with them."""
    wide = {"type": "integer", "maximum": 2**64 - 1}
    content = [{"type": "tool_use", "id": "t", "name": "f", "input": {"user": 2**62}}]
    ask(messages=[{"role": "assistant", "content": content}], tools=[{"name": "f", "input_schema": wide}])
    ask(response_format={"type": "json_schema", "json_schema": {"schema": wide}}, metadata={"id": 2**60})
