"""An engine's flags pass through, except those that Enginehouse decides or that name code."""

from __future__ import annotations

import pytest

from registry import options


def test_a_flag_of_the_engine_passes():
    assert options.refusals("vllm", {"max_num_seqs": 16, "kv-cache-dtype": "fp8", "compilation_config.mode": 3}) == ()


@pytest.mark.parametrize(
    ("engine", "flag"), [(engine, flag) for engine in options.OWNED for flag in options.OWNED[engine]]
)
def test_a_flag_of_ours_is_refused_in_every_spelling(engine, flag):
    """`_` and `-` are the same to the engine, and `--no-x` sets `x` too."""
    for spelling in (flag, flag.replace("_", "-"), f"no-{flag}", flag.upper(), f"{flag}.x"):
        assert [name for name, _ in options.refusals(engine, {spelling: 1})] == [spelling]


@pytest.mark.parametrize("flag", ["hos", "served-model", "middlewar", "max-model-le"])
def test_the_beginning_of_a_flag_of_ours_is_refused(flag):
    """The engine's parser takes an unambiguous beginning for the flag."""
    [(_, reason)] = options.refusals("vllm", {flag: 1})
    assert reason.startswith("short for")


@pytest.mark.parametrize("flag", ["", "--host", "-tp", "a b", "a=b", "ä", "x\n"])
def test_what_is_no_flag_is_refused(flag):
    [(_, reason)] = options.refusals("vllm", {flag: 1})
    assert reason.startswith("an option is a flag's name")


def test_one_option_in_two_spellings_is_refused():
    assert options.refusals("vllm", {"a-b": 1, "a_b": 2}) == (("a_b", "the same option as 'a-b' above"),)


def test_a_flag_is_spelled_with_underscores_up_to_its_dot():
    assert options.spelled("a-b.c-d") == "a_b.c-d"
