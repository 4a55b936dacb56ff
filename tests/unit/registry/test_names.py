"""What a model may be called, how an adapter is spelled, and that one name means one thing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.names import AdapterName, Clash, NameRefused, check_model, clashes, parse_adapter


@pytest.mark.parametrize("name", ["a", "smollm2-135m", "Qwen/Qwen3-0.6B", "org/team/model_v1.2", "7b"])
def test_a_name_is_made_of_parts(name):
    assert check_model(name) == name


@pytest.mark.parametrize(
    "name",
    ["", " ", "a b", "/a", "a/", "a//b", "../a", "a/../b", ".a", "-a", "ü", "a\n", "a:b", "a@b", "ft:a", "x" * 129],
)
def test_what_is_no_name_is_refused(name):
    """No separators of adapters, nothing that looks like a path upwards or a flag."""
    with pytest.raises(NameRefused, match="must"):
        check_model(name)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pirate", AdapterName(None, "pirate", None)),
        ("base:pirate", AdapterName("base", "pirate", None)),
        ("org/base:pirate@0123abcd", AdapterName("org/base", "pirate", "0123abcd")),
    ],
)
def test_the_three_spellings_of_an_adapter(text, expected):
    """`base:adapter` (the current revision), `base:adapter@digest` (one revision), or its own name."""
    assert parse_adapter(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", ":", "base:", ":pirate", "a:b:c", "base:Pirate", "base:../x", "p@0123abcd", "base:p@", "base:p@XYZ",
     "base:p@0123", "base:p\n", "base:" + "x" * 65, "ft:base:x", "base:p@0123abcd@1"],
)  # fmt: skip
def test_other_spellings_are_refused(text):
    """An adapter's name is a file name somewhere: FAULTS security 9."""
    with pytest.raises(NameRefused):
        parse_adapter(text)


@settings(deadline=None)
@given(st.text())
def test_any_text_is_an_adapter_name_or_refused(text):
    """What is accepted is spelled the same when put together again."""
    try:
        name = parse_adapter(text)
    except NameRefused:
        return
    assert (f"{name.base}:" if name.base else "") + name.adapter + (f"@{name.digest}" if name.digest else "") == text


def test_distinct_aliases_do_not_clash():
    assert clashes({"a": ["x", "y"], "b": ["z"]}) == ()


def test_every_clash_is_found_with_its_position():
    """An alias may be no model's name and stand in no two places."""
    found = clashes({"a": ["a", "b", "x", "x"], "b": ["x"]})
    assert found == (
        Clash("a", 0, "an alias repeats the model's own name"),
        Clash("a", 1, "an alias is the name of another model"),
        Clash("a", 3, "an alias is listed twice"),
        Clash("b", 0, "the alias is already taken by the model 'a'"),
    )
