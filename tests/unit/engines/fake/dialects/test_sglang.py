"""SGLang's dialect: what its clients see, as its source says."""

from __future__ import annotations

import pytest

from engines.fake.dialects.sglang import SGLANG
from engines.fake.job import Refused
from tests.unit.engines.fake.dialects.answers import CHAT, COMPLETIONS, job, parsed, reasons, streamed


def test_a_chat_is_role_words_finish_usage_and_done():
    """Every delta has `reasoning_content`, and no chunk has a `usage` but the one that was asked for."""
    events = streamed(SGLANG.shapes[CHAT], job(usage=True))
    first, *_, usage = parsed(events)
    assert first["choices"][0]["delta"] == {"reasoning_content": None, "role": "assistant", "content": ""}
    assert reasons(parsed(events)) == [None, None, None, "stop"]
    assert (usage["choices"], usage["usage"]["completion_tokens"], usage["usage"]["reasoning_tokens"]) == ([], 2, 0)
    assert ["usage" in event for event in parsed(events)] == [False, False, False, False, True]
    assert events[-1] == b"data: [DONE]\n\n"


@pytest.mark.parametrize(("finish", "expected"), [("stop", [None, None, "stop"]), ("length", [None, "length"])])
def test_a_completion_ends_by_length_with_its_last_word(finish, expected):
    events = parsed(streamed(SGLANG.shapes[COMPLETIONS], job(COMPLETIONS), finish))
    assert reasons(events) == expected
    assert all(event["usage"] is None for event in events)


def test_an_abort_looks_like_any_other_end():
    """Only the reason tells it: `[DONE]` comes as ever."""
    events = streamed(SGLANG.shapes[CHAT], job(), "abort")
    assert (reasons(parsed(events))[-1], events[-1]) == ("abort", b"data: [DONE]\n\n")


def test_json_is_compact_but_for_the_error_in_a_stream():
    token = SGLANG.shapes[CHAT].token(job(), 0, 0, None)
    assert token.startswith(b'data: {"id":"7","object":"chat.completion.chunk","created":1,"model":"small"')
    assert SGLANG.breaking(job(), 1)[0].startswith(b'data: {"error": {"object": "error", "message": ')


def test_usage_follows_an_error():
    """The loop is left, not the function."""
    error, usage = parsed(SGLANG.breaking(job(usage=True), 1))
    assert (error["error"]["code"], usage["usage"]["completion_tokens"]) == (500, 1)


def test_an_error_answer_is_flat_but_for_a_wrong_key():
    refused = SGLANG.error(SGLANG.too_long(10, 12))
    assert (refused["object"], refused["code"], refused["type"]) == ("error", 400, "BadRequestError")
    assert SGLANG.error(Refused(401, "Unauthorized", "")) == {"error": "Unauthorized"}


def test_any_name_is_taken_for_the_models():
    assert SGLANG.unknown("other") is None


def test_tool_calls_are_a_reason_of_their_own():
    answer = SGLANG.shapes[CHAT].whole(job(tool="look"), "stop")["choices"][0]
    assert (answer["finish_reason"], answer["message"]["content"]) == ("tool_calls", "")


def test_health_and_metrics_need_no_key():
    paths = ["/health", "/health_generate", "/metrics", "/v1/models", "/tokenize"]
    assert [SGLANG.guards(path) for path in paths] == [False, False, False, True, True]


def test_metrics_have_its_names():
    text = SGLANG.metrics("small", {"running": 1, "waiting": 2, "prompt_tokens": 3, "generation_tokens": 4})
    found = {line.partition("{")[0]: line.rpartition(" ")[2] for line in text.splitlines()}
    assert found == {
        "sglang:num_running_reqs": "1",
        "sglang:num_queue_reqs": "2",
        "sglang:prompt_tokens_total": "3",
        "sglang:generation_tokens_total": "4",
    }
