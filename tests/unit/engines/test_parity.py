"""How alike two pools are, from what they said."""

from __future__ import annotations

import json

import pytest

from engines.parity import QUESTIONS, Answer, compare, read

FACT, TOOL = QUESTIONS[0], QUESTIONS[-1]
ONE = Answer(("1", "2", "3", "4"), "length", (5, 4))


def completion(**choice):
    usage = {"prompt_tokens": 5, "completion_tokens": 4}
    return json.dumps({"choices": [{"finish_reason": "length"} | choice], "usage": usage}).encode()


def called(name, arguments):
    return completion(message={"tool_calls": [{"function": {"name": name, "arguments": arguments}}]})


def test_the_same_answers_agree_fully():
    report = compare({"q": ONE}, {"q": ONE})
    assert report.agreement == 1.0
    assert str(report) == "token agreement 1.00 (1 of 1 answers the same, finish reasons 1, usage 1)"


@pytest.mark.parametrize(
    ("tokens", "agreement"),
    [(("1", "2", "x", "4"), 0.5), (("1", "2"), 0.5), ((), 0.0), (("1", "2", "3", "4", "5", "6", "7", "8"), 0.5)],
)
def test_tokens_agree_up_to_the_first_that_differs(tokens, agreement):
    """What follows a different token is another story."""
    report = compare({"q": ONE}, {"q": Answer(tokens, "stop", (5, 9))})
    (found,) = report.compared
    assert (report.agreement, found.same_finish, found.same_usage) == (agreement, False, False)


def test_two_empty_answers_are_alike():
    assert compare({"q": Answer((), "stop")}, {"q": Answer((), "stop")}).agreement == 1.0


def test_what_the_new_pool_does_not_answer_is_no_agreement():
    report = compare({"p": ONE, "q": ONE}, {"p": ONE})
    assert (report.agreement, report.unanswered) == (0.5, ("q",))


def test_what_the_old_pool_did_not_answer_is_not_compared():
    """A model without a chat template has no tool calls to lose."""
    assert compare({"p": ONE}, {"p": ONE, "q": ONE}).agreement == 1.0
    assert compare({}, {"q": ONE}).agreement is None


def test_a_lost_tool_call_is_told():
    old, new = (Answer(("1",), "stop", tool_valid=valid) for valid in (True, False))
    assert "1 valid tool calls lost" in str(compare({"tool": old}, {"tool": new}))


def test_an_answer_is_read_by_its_ids_or_else_by_its_words():
    assert read(FACT, completion(text="a b", token_ids=[7, 8])) == Answer(("7", "8"), "length", (5, 4))
    assert read(FACT, completion(text="a b")) == Answer(("a", "b"), "length", (5, 4))


@pytest.mark.parametrize(
    ("name", "arguments", "valid"),
    [
        ("weather", '{"city": "Paris"}', True),
        ("weather", '{"city": 1}', False),
        ("weather", "{", False),
        ("x", "{}", False),
    ],
)
def test_a_tool_call_is_valid_if_the_tool_could_be_called(name, arguments, valid):
    assert read(TOOL, called(name, arguments)).tool_valid is valid


@pytest.mark.parametrize("garbage", [b"", b"[]", b"{}", b'{"choices": []}', b'{"choices": [7]}', b"\xff"])
def test_what_is_no_answer_is_none(garbage):
    assert read(FACT, garbage) is None
