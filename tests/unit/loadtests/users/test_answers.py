"""What counts as a whole answer, and what a broken one is called."""

from __future__ import annotations

import json

import pytest

from loadtests.users.answers import Bad, Stream, Usage, refused, whole

DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 7, "completion_tokens": 3}


def event(text: str = "", *, finish: str | None = None, **more: object) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice]} | more).encode() + b"\n\n"


def heard(*pieces: bytes) -> Stream:
    """A stream whose lines came a second apart, from second 1, and which then ended."""
    stream = Stream()
    lines = b"".join(pieces).split(b"\n")
    for second, line in enumerate((line for line in lines if line), 1):
        stream.take(line, second)
        stream.take(b"", second)
    stream.finished(99.0)
    return stream


def test_the_first_token_is_the_first_with_content():
    """The role chunk says nothing that a user waits for."""
    stream = heard(event(""), event("a"), event("b"), event("", finish="stop"), DONE)
    assert (stream.first, stream.gaps, stream.chunks) == (2, [1], 2)


def test_reasoning_and_tool_calls_are_tokens_too():
    deltas = [{"reasoning_content": "hm"}, {"tool_calls": [{"index": 0}]}]
    events = [event(choices=[{"delta": delta}]) for delta in deltas]
    assert heard(*events, event(finish="tool_calls"), DONE).chunks == 2


def test_usage_comes_from_the_usage_event():
    stream = heard(event("a", finish="length"), event(choices=[], usage=USAGE), DONE)
    assert stream.usage == Usage(prompt=7, completion=3)


@pytest.mark.parametrize(
    ("pieces", "called"),
    [
        ((event("a", finish="stop"),), "ended without [DONE]"),
        ((event("a"), DONE), "[DONE] without finish_reason"),
        ((event("a", finish="abort"), DONE), "finish_reason abort"),
        ((event("a"), b'data: {"cho\n\n', DONE), "an event that is not JSON"),
        ((b"data: 7\n\n",), "an event that is not JSON"),
        ((b"data: \xff\n\n",), "an event that is not JSON"),
        ((b"data: {}\n\n",), "an event without choices"),
        ((event(choices=["a"]),), "a choice that is no object"),
        ((event(choices=[], error={"code": "worker_failed", "message": "gone"}), DONE), "worker_failed"),
        ((), "ended without [DONE]"),
    ],
)
def test_a_broken_stream_is_counted_under_a_short_name(pieces: tuple[bytes, ...], called: str):
    """A stream is good only with a finish_reason and [DONE]; an error event is called by its code."""
    with pytest.raises(Bad) as bad:
        heard(*pieces)
    assert str(bad.value) == called


def test_a_last_event_without_its_blank_line_counts():
    stream = Stream()
    stream.take(event("a", finish="stop").strip(), 1.0)
    stream.take(b"", 1.0)
    stream.take(b"data: [DONE]", 2.0)
    stream.finished(3.0)
    assert stream.done


def test_a_whole_answer_gives_its_usage():
    choices = [{"message": {"content": "a"}, "finish_reason": "stop"}]
    assert whole(json.dumps({"choices": choices, "usage": USAGE}).encode()) == Usage(prompt=7, completion=3)
    assert whole(json.dumps({"choices": choices}).encode()) is None


@pytest.mark.parametrize(
    ("body", "called"),
    [
        (b"<html>", "an answer that is not JSON"),
        (b"[]", "an answer that is not JSON"),
        (b"[" * 100_000, "an answer that is not JSON"),
        (b"{}", "an answer without choices"),
        (b'{"choices": [{"finish_reason": null}]}', "no finish_reason"),
        (b'{"choices": [{"finish_reason": "abort"}]}', "finish_reason abort"),
        (b'{"error": "out of luck"}', "out of luck"),
    ],
)
def test_a_broken_answer_is_counted_under_a_short_name(body: bytes, called: str):
    with pytest.raises(Bad) as bad:
        whole(body)
    assert str(bad.value) == called


@pytest.mark.parametrize(
    ("body", "called"),
    [
        (b'{"error": {"code": "queue_full", "message": "later"}}', "HTTP 503 queue_full"),
        (b'{"error": {"code": 503, "type": "Busy"}}', "HTTP 503 Busy"),
        (b'{"error": {"code": 503}}', "HTTP 503 503"),
        (b"<html>", "HTTP 503"),
        (b"[1]", "HTTP 503"),
    ],
)
def test_a_refusal_is_called_by_its_status_and_code(body: bytes, called: str):
    """Engines send the status as the code: then the type says more."""
    assert refused(503, body) == called
