"""LMDeploy's dialect: what its clients see, as its source says."""

from __future__ import annotations

import json

import pytest

from engines.fake.dialects.lmdeploy import LMDEPLOY
from engines.fake.job import Refused
from tests.unit.engines.fake.dialects.answers import CHAT, COMPLETIONS, WORDS, job, parsed, reasons, streamed


def test_a_chat_is_words_finish_usage_and_done():
    """No chunk comes before the first word, and a running choice has no `finish_reason` at all."""
    events = streamed(LMDEPLOY.shapes[CHAT], job(usage=True))
    first, *_, usage = parsed(events)
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": WORDS[0]}
    assert reasons(parsed(events)) == ["absent", "absent", "stop"]
    assert [event["usage"] is None for event in parsed(events)] == [True, True, True, False]
    assert usage["usage"]["prompt_tokens_details"] == {"cached_tokens": 0}
    assert events[-1] == b"data: [DONE]\n\n"


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
def test_no_chunk_has_a_usage_that_was_not_asked_for(path):
    assert not any("usage" in event for event in parsed(streamed(LMDEPLOY.shapes[path], job(path))))


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
@pytest.mark.parametrize("finish", ["stop", "length", "abort"])
def test_every_end_is_a_chunk_of_its_own(path, finish):
    events = streamed(LMDEPLOY.shapes[path], job(path), finish)
    assert reasons(parsed(events)) == ["absent", "absent", finish]
    assert events[-1] == b"data: [DONE]\n\n"


def test_json_is_spaced_but_for_the_usage_of_a_chat():
    """Python's own JSON, except where pydantic wrote it; for several choices it is Python's again."""
    *_, finish, usage, _ = streamed(LMDEPLOY.shapes[CHAT], job(usage=True))
    assert finish.startswith(b'data: {"id": "chatcmpl-7", "object": ')
    assert usage.startswith(b'data: {"id":"chatcmpl-7","object":')
    assert LMDEPLOY.shapes[CHAT].closing(job(usage=True, choices=2), "stop", 4)[-1].startswith(b'data: {"id": ')


def test_a_completion_has_the_number_of_its_session_for_an_id():
    assert LMDEPLOY.shapes[COMPLETIONS].whole(job(COMPLETIONS), "stop")["id"] == "-1"


def test_an_error_is_flat_in_an_answer_and_wrapped_in_a_stream():
    refused = LMDEPLOY.error(LMDEPLOY.too_long(10, 12))
    assert (refused["object"], refused["code"], refused["type"]) == ("error", 400, "invalid_request_error")
    (event,) = parsed(LMDEPLOY.breaking(job(usage=True), 1))
    assert (list(event), event["error"]["code"]) == (["error"], 500)


def test_a_wrong_key_and_an_unknown_model_have_types():
    unknown = LMDEPLOY.unknown("other")
    assert unknown is not None
    kinds = [LMDEPLOY.error(each)["type"] for each in (Refused(401, "", ""), unknown)]
    assert kinds == ["authentication_error", "not_found_error"]


def test_health_says_in_its_body_how_the_engine_is():
    bodies = [json.loads(LMDEPLOY.health(healthy=each)) for each in (True, False)]
    assert [body["status"] for body in bodies] == ["healthy", "unhealthy"]


def test_even_metrics_need_the_key():
    assert [LMDEPLOY.guards(path) for path in ("/health", "/metrics", "/v1/models")] == [False, True, True]


def test_metrics_have_its_names():
    text = LMDEPLOY.metrics("small", {"running": 1, "waiting": 2, "prompt_tokens": 3, "generation_tokens": 4})
    found = {line.partition("{")[0]: line.rpartition(" ")[2] for line in text.splitlines()}
    assert found == {
        "lmdeploy:num_requests_running": "1",
        "lmdeploy:num_requests_waiting": "2",
        "lmdeploy:prompt_tokens_total": "3",
        "lmdeploy:generation_tokens_total": "4",
    }
