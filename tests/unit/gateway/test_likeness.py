"""What is like an event before it passes unread, and nothing else does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.client import chunk_of
from gateway.likeness import Likeness
from gateway.reading import StreamReader
from gateway.upstream.response import whole_chunks
from tests.unit.gateway.builders import CHAT, COMPLETIONS, delta, finish, sse

EVENT = sse(delta("word"))
READ = chunk_of(EVENT)
EVENTS = st.sampled_from(
    [
        EVENT,
        sse({"choices": [{"text": "word"}]}),
        sse(delta("word", role="x")),
        sse(delta("", reasoning="word")),
        sse({"choices": [{"delta": {"content": "word"}, "finish_reason": "abort"}]}),
        sse({"choices": [{"delta": {}, "finish_reason": "word"}]}),
        sse({"choices": [{"text": "a"}], "content": "word"}),
    ]
)
TEXTS = st.sampled_from([b"abort", b'"', b'a"},"finish_reason":"abort","x":{"y":"', b"a\\", b"\n\ndata: {}"])


def taught(event=EVENT):
    likeness = Likeness()
    likeness.learn(event)
    return likeness


def with_text(text):
    return chunk_of(EVENT.replace(b"word", text))


@pytest.mark.parametrize("text", ["a", " the", "a longer one, of words", "🏠 дом 家", "{[]}:,", "data: [DONE]"])
def test_another_text_is_like_the_first(text):
    assert taught().has(with_text(text.encode()))


@pytest.mark.parametrize("key", ["content", "text", "reasoning", "reasoning_content"])
def test_a_text_is_found_under_every_name_that_engines_give_it(key):
    event = b'data: {"choices":[{"index":0,"%b":"%b","logprobs":null,"finish_reason":null}]}\n\n'
    assert taught(event % (key.encode(), b"one")).has(chunk_of(event % (key.encode(), b"another")))


@pytest.mark.parametrize(
    "read",
    [
        b"",
        READ[:-1],
        READ + b"\r\n",
        READ * 2,
        EVENT,
        b"0" + READ,
        READ.replace(b"\r\n", b";x=y\r\n", 1),
        b"1" + READ[1:],
        chunk_of(sse(delta("word", role="assistant"))),
        READ.replace(b"null", b"true"),
        chunk_of(sse(finish("abort"))),
        chunk_of(b"data: [DONE]\n\n"),
        *map(with_text, (b'"', b"\\", b"\\n", b"\n", b"\n\n", b"\r", b"\0", b"\x7f", b"\xff", b"\xed\xa0\x80")),
        with_text("\u2028".encode()),
        with_text(b'x"},"finish_reason":"abort","y":{"z":"'),
        with_text(b"x" * 4096),
    ],
)
def test_nothing_else_is_like_it(read):
    assert not taught().has(read)


def test_every_length_of_a_text_up_to_the_limit_is_told_right():
    """The size line grows by a digit on the way, and no read is as long as two of them."""
    likeness = taught()
    sizes = [size for size in range(3000) if likeness.has(with_text(b"x" * size))]
    assert sizes == list(range(1, len(sizes) + 1))
    assert len(sizes) > 1900


def test_nothing_is_like_what_was_never_learnt_or_is_forgotten():
    forgotten = taught()
    forgotten.forget()
    assert not Likeness().has(READ)
    assert not forgotten.has(READ)


def test_an_event_with_escapes_or_without_a_text_or_too_long_teaches_nothing_and_costs_nothing():
    likeness = taught()
    likeness.learn(EVENT.replace(b"word", b"\\n"))
    likeness.learn(sse({"choices": [{"index": 0}]}))
    likeness.learn(EVENT.replace(b"word", b"x" * 4096))
    assert likeness.has(READ)


def test_an_escaped_quote_is_not_taken_for_the_end_of_a_text():
    """Else what follows it, which is no JSON without the backslash, would be learnt as what every event has."""
    assert not taught(EVENT.replace(b"word", b'a\\"b')).has(chunk_of(EVENT.replace(b"word", b'a"b')))


@pytest.mark.parametrize("key", ["reasoning", "reasoning_content"])
def test_an_empty_text_beside_the_one_that_changes_does_not_hide_it(key):
    """Ollama's reasoning has an empty `content` beside it."""
    event = b'data: {"choices":[{"delta":{"content":"","%b":"%b"},"finish_reason":null}]}\n\n'
    assert taught(event % (key.encode(), b"one")).has(chunk_of(event % (key.encode(), b"another")))


def numbered(number):
    return EVENT.replace(b"data: {", b'data: {"n":%d,' % number)


def knows_the_last_of(count):
    likeness = Likeness()
    for number in range(count):
        likeness.learn(numbered(number))
    return likeness.has(chunk_of(numbered(count - 1)))


def test_a_stream_without_likeness_is_learnt_four_times_and_then_seldom():
    assert [count for count in range(1, 40) if knows_the_last_of(count)] == [1, 2, 3, 4, 16, 32]


def test_a_stream_whose_events_change_now_and_then_is_learnt_anew():
    likeness = Likeness()
    for number in range(9):
        likeness.learn(numbered(number))
        assert likeness.has(chunk_of(numbered(number)))


def test_what_was_forgotten_is_learnt_again_however_often():
    """Reads that end in the middle of an event, and comments, come in any number on a busy machine."""
    likeness = Likeness()
    for _ in range(9):
        likeness.learn(EVENT)
        likeness.forget()
    likeness.learn(EVENT)
    assert likeness.has(READ)


@given(EVENTS, st.one_of(TEXTS, st.binary(max_size=40), st.text().map(str.encode)))
def test_what_passes_unread_would_pass_read(event, text):
    """For a reader that stands where this one does: between two chunks, after the first token."""
    reader = fresh()
    if reader.passes(event):
        for body in (event.replace(b"word", text), text):
            for read in (chunk_of(body), body):
                if reader.likeness.has(read):
                    assert fresh().passes(b"".join(whole_chunks(read)))


def fresh():
    reader = StreamReader(CHAT, hide_usage=False)
    reader.feed(EVENT)
    return reader


def test_a_reader_teaches_what_passes_and_clears_it_where_it_holds_bytes_back():
    reader = fresh()
    assert not reader.likeness.has(READ)
    assert reader.passes(EVENT)
    assert reader.likeness.has(READ)
    reader.feed(EVENT[:9])
    assert not reader.likeness.has(READ)


def test_a_reader_teaches_nothing_before_the_first_token():
    reader = StreamReader(COMPLETIONS, hide_usage=False)
    assert not reader.passes(EVENT)
    assert not reader.likeness.has(READ)
