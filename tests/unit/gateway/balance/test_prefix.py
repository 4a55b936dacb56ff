"""A prompt's beginning in blocks: the same for the same beginning, and bounded for a prompt without end."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.balance.prefix import BLOCKS, BOUNDS, NO_PREFIX, Prefix, cut

TEXT = "The quick brown fox jumps over the lazy dog. " * 100


def chat(*contents, served="m", **rest):
    messages = [{"role": "user", "content": content} for content in contents]
    return cut(served, json.dumps({"model": "m", "messages": messages, **rest}).encode())


def shared(one, other):
    return sum(1 for first, second in zip(one, other, strict=False) if first == second)


def test_a_chats_next_turn_begins_with_the_blocks_of_the_last():
    """The closing bracket is not part of a prefix, nor is what is left after the last whole block."""
    before = chat(TEXT, "a")
    after = chat(TEXT, "a", "b" * 3000)
    assert (after[: len(before)], len(after) > len(before)) == (before, True)


@given(st.lists(st.text(max_size=600), min_size=1, max_size=8), st.text(max_size=2000))
def test_whatever_a_turn_adds_the_blocks_before_it_stay(contents, more):
    before, after = chat(*contents), chat(*contents, more)
    assert after[: len(before)] == before


def test_prompts_that_differ_in_the_first_byte_share_nothing():
    assert shared(chat("a" + TEXT), chat("b" + TEXT)) == 0


def test_a_difference_shows_in_every_block_after_it():
    one, other = chat(TEXT[:1000] + "x" + TEXT), chat(TEXT[:1000] + "y" + TEXT)
    assert shared(one, other) == sum(1 for end in BOUNDS[1:] if end <= 1024)


def test_a_prefix_belongs_to_an_adapter():
    """Its served name carries its digest: another adapter's cache, or an older revision's, is of no use to it."""
    assert shared(chat(TEXT, served="m:pirate@1"), chat(TEXT, served="m:pirate@2")) == 0


def test_a_cache_salt_parts_prefixes():
    """The engine keeps the caches of two salts apart."""
    assert shared(chat(TEXT, cache_salt="a"), chat(TEXT, cache_salt="b")) == 0


def test_tools_stand_before_the_messages_wherever_the_body_has_them():
    tools = [{"type": "function", "function": {"name": TEXT}}]
    one = cut("m", json.dumps({"tools": tools, "messages": ["a"]}).encode())
    other = cut("m", json.dumps({"messages": ["b"], "tools": tools}).encode())
    assert shared(one, other) == len(one)


@pytest.mark.parametrize(
    "body",
    [
        {"prompt": TEXT},
        {"prompt": [[1, 2, 3] * 1000]},
        {"input": TEXT},
        {"instructions": TEXT, "input": "x"},
        {"system": TEXT, "messages": []},
    ],
)
def test_every_path_that_generates_has_a_prefix(body):
    assert len(cut("m", json.dumps(body).encode())) > 4


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"prompt": "short"}', b'{"prompt": null}', b'{"input": {}}'])
def test_what_has_no_whole_block_has_no_prefix(body):
    assert cut("m", body) == ()


def test_one_giant_prompt_costs_a_bounded_number_of_steps():
    assert (BLOCKS, BOUNDS[-1], len(chat("x" * 4_000_000))) == (32, 131_072, 32)


def test_blocks_are_the_same_in_every_process():
    """Gateways that never talk agree; Python's own hash is salted anew in each."""
    assert cut("m", b'{"prompt": "' + b"x" * 600 + b'"}') == (26755744640, 24727853281)


def test_a_prefix_is_cut_once_and_only_if_asked():
    prefix = Prefix("m", json.dumps({"prompt": TEXT}).encode())
    assert (prefix._blocks, prefix.blocks is prefix.blocks, NO_PREFIX.blocks) == (None, True, ())
