"""What streams say: complete, failed, aborted, content, usage; and nothing after the end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import WorkerFailed
from gateway.reading import StreamReader
from tests.unit.gateway.builders import CHAT, COMPLETIONS, MESSAGES, RESPONSES, USAGE, WHOLE_STREAM, delta, finish, sse

CHAT_ABORT = sse(delta("a"), finish("abort"), "[DONE]")


def read(stream, operation=CHAT, *, hide_usage=False):
    """A reader that was fed `stream` and its end, and what it forwarded."""
    reader = StreamReader(operation, hide_usage=hide_usage)
    forwarded = reader.feed(stream)
    reader.end()
    return reader, forwarded


@pytest.mark.parametrize(
    ("operation", "last"),
    [
        (CHAT, b"data: [DONE]\n\n"),
        (COMPLETIONS, b"data: [DONE]\r\n\r\n"),
        (RESPONSES, b"event: response.completed\n" + sse({"type": "response.completed"})),
        (RESPONSES, b"event: response.incomplete\n" + sse({"type": "response.incomplete"})),
        (MESSAGES, b"event: message_stop\n" + sse({"type": "message_stop"})),
    ],
)
def test_the_terminal_event_of_each_dialect_completes(operation, last):
    reader, forwarded = read(last, operation)
    assert (reader.complete, reader.fault, forwarded) == (True, None, last)


@pytest.mark.parametrize("operation", [RESPONSES, MESSAGES])
def test_done_does_not_complete_a_typed_stream(operation):
    """[DONE] is not a word of these dialects: it is dropped, and the stream goes on."""
    reader, forwarded = read(sse("[DONE]", {"type": next(iter(operation.terminals))}), operation)
    assert (reader.complete, b"[DONE]" in forwarded) == (True, False)


def test_an_end_without_the_terminal_event_is_a_fault():
    reader, _ = read(WHOLE_STREAM.removesuffix(sse("[DONE]")))
    assert isinstance(reader.fault, WorkerFailed)
    assert not reader.complete


def test_a_reason_that_is_no_word_is_a_fault():
    """SGLang's own `/generate` has such reasons; its OpenAI endpoints must never pass one on as an end."""
    reader, forwarded = read(sse(finish({"type": "abort"})))
    assert (forwarded, reader.complete, isinstance(reader.fault, WorkerFailed)) == (b"", False, True)


@pytest.mark.parametrize(
    ("operation", "event"),
    [
        (CHAT, sse({"error": {"message": "CUDA error", "code": 500}})),
        (CHAT, sse({"error": "out of memory"})),
        (COMPLETIONS, sse({"choices": [{"index": 0, "text": "", "finish_reason": "abort"}]})),
        (CHAT, sse(finish("abort"))),
        (CHAT, sse(finish("error"))),
        (RESPONSES, sse({"type": "response.failed", "response": {"status": "failed"}})),
        (RESPONSES, sse({"type": "error", "message": "x"})),
        (MESSAGES, b"event: error\n" + sse({"type": "error", "error": {"type": "api_error", "message": "x"}})),
    ],
)
def test_an_engines_failure_is_a_fault_and_is_not_forwarded(operation, event):
    """The engine's words stay here; the client gets our one error event."""
    reader, forwarded = read(event, operation)
    assert (forwarded, reader.complete) == (b"", False)
    assert "not JSON" not in str(reader.fault)


@pytest.mark.parametrize(
    "event",
    [
        b"data: {\n\n",
        b"data: 5\n\n",
        b"data: []\n\n",
        b"data: {}x\n\n",
        b"data: \x00\n\n",
        b'data: {"choices": 5}\n\n',
        b'data: {"choices":[{"delta":{"content":"\xff"}}]}\n\n',
        b'data: {"x":' + b"[" * 200_000 + b"\n\n",
    ],
)
def test_a_malformed_event_is_a_fault(event):
    """Whatever the bytes: a fault with a name, never a bug's exception, and nothing forwarded."""
    reader, forwarded = read(event)
    assert (forwarded, reader.complete) == (b"", False)
    assert isinstance(reader.fault, WorkerFailed)


def test_bad_utf8_is_never_forwarded():
    """Also where the gateway does not look at the field that holds it."""
    reader, forwarded = read(b'data: {"choices":[],"system_fingerprint":"\xff"}\n\n')
    assert (forwarded, isinstance(reader.fault, WorkerFailed)) == (b"", True)


def test_an_event_without_an_end_is_a_fault():
    reader, forwarded = read(b"data: " + b"x" * (4 * 1024 * 1024 + 1))
    assert (forwarded, isinstance(reader.fault, WorkerFailed)) == (b"", True)


def test_null_errors_are_no_errors():
    """Some engines write every field."""
    event = sse(delta("x", tool_calls=None) | {"error": None, "usage": None})
    reader = StreamReader(CHAT, hide_usage=False)
    assert (reader.feed(event), reader.fault) == (event, None)


@pytest.mark.parametrize("stream", [WHOLE_STREAM, CHAT_ABORT])
def test_nothing_follows_the_end(stream):
    """After the terminal event, or after a fault, not a byte is forwarded."""
    reader, forwarded = read(stream)
    again = reader.feed(sse(delta("more"), "[DONE]", {"error": "late"}))
    assert again == b""
    assert (reader.complete, reader.fault is None) == ((b"[DONE]" in forwarded),) * 2


def test_what_follows_the_end_in_the_same_read_is_dropped():
    _, forwarded = read(WHOLE_STREAM + sse(delta("late")))
    assert forwarded == WHOLE_STREAM


@given(st.sampled_from([WHOLE_STREAM, CHAT_ABORT, sse(delta("x"), {"error": "e"}), sse(USAGE, "[DONE]")]), st.data())
def test_cuts_do_not_change_what_is_read(stream, data):
    """Trickled in any pieces, a stream is forwarded and judged the same."""
    cut = data.draw(st.integers(0, len(stream)))
    expected, forwarded = read(stream, hide_usage=True)
    reader = StreamReader(CHAT, hide_usage=True)
    pieces = [reader.feed(stream[:cut]), *(reader.feed(stream[at : at + 1]) for at in range(cut, len(stream)))]
    reader.end()
    assert b"".join(pieces) == forwarded
    assert (reader.complete, str(reader.fault), reader.usage) == (
        expected.complete,
        str(expected.fault),
        expected.usage,
    )


@pytest.mark.parametrize("cut", range(len(WHOLE_STREAM)))
def test_a_stream_that_breaks_anywhere_is_a_fault(cut):
    """Fault 10: at no offset does a broken stream pass as a complete one, and no half event goes out."""
    reader, forwarded = read(WHOLE_STREAM[:cut])
    assert reader.fault is not None
    assert forwarded == b"" or forwarded.endswith(b"\n\n")


@pytest.mark.parametrize(
    ("operation", "event", "expected"),
    [
        (CHAT, delta("", role="assistant"), False),
        (CHAT, delta("Hi"), True),
        (CHAT, delta("", reasoning="hm"), True),
        (CHAT, delta("", reasoning_content="hm"), True),
        (CHAT, delta("", tool_calls=[{"index": 0, "function": {"name": "f"}}]), True),
        (CHAT, delta("", tool_calls=[]), False),
        (CHAT, finish("stop"), True),
        (COMPLETIONS, {"choices": [{"index": 0, "text": "Hi"}]}, True),
        (COMPLETIONS, {"choices": [{"index": 0, "text": ""}]}, False),
        (RESPONSES, {"type": "response.created"}, False),
        (RESPONSES, {"type": "response.output_text.delta", "delta": "Hi"}, True),
        (MESSAGES, {"type": "message_start", "message": {"usage": {"input_tokens": 3}}}, False),
        (MESSAGES, {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hi"}}, True),
    ],
)
def test_content_is_seen_where_it_is(operation, event, expected):
    """The first token is the first event with words, reasoning, a tool call or an end: not the role."""
    reader = StreamReader(operation, hide_usage=False)
    assert reader.feed(sse(event)) == sse(event)
    assert reader.content is expected


def test_comments_pass_and_are_no_content():
    reader = StreamReader(CHAT, hide_usage=False)
    assert (reader.feed(b": waiting\n\n"), reader.content, reader.fault) == (b": waiting\n\n", False, None)


@pytest.mark.parametrize("hide", [True, False])
def test_usage_that_nobody_asked_for_is_read_and_hidden(hide):
    reader, forwarded = read(sse(delta("x"), USAGE, "[DONE]"), hide_usage=hide)
    assert (b"usage" in forwarded) is not hide
    assert (reader.usage.prompt, reader.usage.completion) == (3, 2)


def test_usage_beside_content_is_not_hidden_with_it():
    """Only the event that carries nothing else is ours to hide."""
    event = sse(delta("x") | {"usage": USAGE["usage"]})
    assert StreamReader(CHAT, hide_usage=True).feed(event) == event


def test_the_usage_of_a_typed_stream_is_read():
    reader, _ = read(
        sse({"type": "response.completed", "response": {"usage": {"input_tokens": 7, "output_tokens": 2}}}), RESPONSES
    )
    assert (reader.usage.prompt, reader.usage.completion) == (7, 2)


@given(
    st.lists(st.binary(max_size=40) | st.sampled_from([b"data: ", b"\n\n", b"[DONE]", b'{"choices":[]}']), max_size=8)
)
def test_arbitrary_bytes_raise_nothing(pieces):
    """A worker's worst words end in a fault or in nothing, never in an exception."""
    reader = StreamReader(CHAT, hide_usage=True)
    for piece in pieces:
        reader.feed(piece)
    reader.end()
    assert reader.complete is (reader.fault is None)
