"""What whole answers say: usage, aborts, and an engine's refusals in our words."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import EngineRefused, WorkerFailed
from gateway.reading import refusal, usage_of

DEEP = b'{"x":' + b"[" * 200_000


def refused(status, body):
    error = refusal(status, body)
    assert error.answered_status == status
    return msgspec.json.decode(error.body())["error"]


def test_usage_is_found_in_both_spellings():
    """OpenAI's and Anthropic's."""
    openai = usage_of(b'{"usage": {"prompt_tokens": 3, "completion_tokens": 2}}')
    anthropic = usage_of(b'{"usage": {"input_tokens": 3, "output_tokens": 2}}')
    assert [(each.prompt, each.completion) for each in (openai, anthropic)] == [(3, 2), (3, 2)]


def test_an_answer_without_usage_has_none():
    """Usage is exact or absent."""
    assert usage_of(b'{"tokens": [1, 2]}') is None


@pytest.mark.parametrize("reason", [b"abort", b"error"])
def test_an_answer_that_was_given_up_is_a_failure(reason):
    with pytest.raises(WorkerFailed, match="aborted"):
        usage_of(b'{"choices": [{"finish_reason": "stop"}, {"finish_reason": "%s"}]}' % reason)


@pytest.mark.parametrize("body", [b"", b"{", b"<html>", b'{"choices": 1}', b'{"choices":[{"text":"\xff"}]}', DEEP])
def test_an_answer_that_is_no_answer_is_a_failure(body):
    """Never a bug's exception, whatever the bytes."""
    with pytest.raises(WorkerFailed):
        usage_of(body)


def test_a_numeric_code_becomes_null():
    """OpenAI's clients read `code` as a string or null; vLLM sends the status."""
    body = b'{"error": {"message": "too long", "type": "BadRequestError", "param": "messages", "code": 400}}'
    assert refused(400, body) == {
        "message": "too long",
        "type": "invalid_request_error",
        "param": "messages",
        "code": None,
    }


def test_an_error_that_is_the_body_itself_is_read_too():
    """SGLang's and LMDeploy's."""
    body = b'{"object": "error", "message": "too long", "type": "BadRequest", "param": "messages", "code": 400}'
    error = refused(400, body)
    assert (error["message"], error["param"], error["code"]) == ("too long", "messages", None)


def test_a_word_for_a_code_is_kept():
    assert refused(400, b'{"error": {"message": "x", "code": "context_length_exceeded"}}')["code"] == (
        "context_length_exceeded"
    )


def test_an_engines_404_is_model_not_found():
    """It must reach `openai.NotFoundError` with this code."""
    assert refused(404, b'{"error": {"message": "no such model", "code": 404}}')["code"] == "model_not_found"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"detail": "Not Found"}', "Not Found"),
        (b'{"detail": [{"msg": "field required"}]}', '[{"msg":"field required"}]'),
        (b'{"message": "flat", "code": 400}', "flat"),
        (b'{"error": "a sentence"}', "a sentence"),
        (b"<h1>Bad</h1>", "<h1>Bad</h1>"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"", "The engine refused the request with status 422."),
        (b"{}", "The engine refused the request with status 422."),
    ],
)
def test_every_shape_of_refusal_becomes_one_sentence(body, message):
    """The envelope of vLLM, FastAPI's `detail`, a flat object, and what is not JSON at all."""
    assert refused(422, body)["message"] == message


def test_a_refusals_text_is_bounded():
    assert len(refused(400, b"x" * 100_000)["message"]) <= 500


@given(st.binary(max_size=200) | st.just(DEEP))
def test_any_bytes_make_a_valid_envelope(body):
    error = refused(400, body)
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    assert isinstance(refusal(400, body), EngineRefused)
