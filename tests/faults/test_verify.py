"""The verifying reader and the raw client: what they must see, shown on texts and servers made for it."""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.fake.words import word
from tests.faults.client import End, ask, calling, get, post
from tests.faults.verify import Findings, inspect, inspect_part, text_of

WORDS = [word(number) for number in range(1, 6)]


def test_an_unbroken_text_is_clean():
    """Every word once, whole, in order."""
    assert inspect("".join(WORDS), 5) == Findings()


@pytest.mark.parametrize(
    ("text", "findings"),
    [
        ("".join(WORDS[:4]), Findings(lost=(5,))),
        ("".join(WORDS[:1] + WORDS[2:]), Findings(lost=(2,))),
        ("".join([*WORDS[:2], *WORDS[1:]]), Findings(duplicated=(2,))),
        ("".join([WORDS[1], WORDS[0], *WORDS[2:]]), Findings(reordered=(1,))),
        ("".join([*WORDS, word(6)]), Findings(surplus=(6,))),
        ("".join([*WORDS[:4], "w0005-zzzz "]), Findings(lost=(5,), corrupt=("w0005-zzzz",))),
        ("".join([*WORDS, "sorry"]), Findings(corrupt=("sorry",))),
    ],
)
def test_each_kind_of_damage_has_its_name(text: str, findings: Findings):
    """Lost, duplicated, reordered, surplus and corrupt words are told apart."""
    assert inspect(text, 5) == findings


def test_a_word_of_another_request_is_corrupt():
    """The checksum binds a word to its request's seed: streams that were mixed up are seen."""
    assert inspect(word(1, 7), 1, key=8) == Findings(lost=(1,), corrupt=(word(1, 7).strip(),))


def test_a_broken_off_answer_is_judged_up_to_where_it_came():
    """What never came is not lost from a part; a hole in it is."""
    assert inspect_part("".join(WORDS[:3])) == Findings()
    assert inspect_part("".join([WORDS[0], WORDS[2]])) == Findings(lost=(2,))


@given(st.integers(1, 40), st.randoms())
def test_any_shuffle_that_changes_the_order_is_seen(length: int, chance: random.Random):
    """Property: only the one right order is clean."""
    words = [word(number) for number in range(1, length + 1)]
    shuffled = list(words)
    chance.shuffle(shuffled)
    assert inspect("".join(shuffled), length).clean == (shuffled == words)


def test_text_is_read_out_of_every_dialect_of_events():
    """Chat, completions, responses and messages carry the same words in different wrappers."""
    events = [
        '{"choices":[{"index":0,"delta":{"content":"a"}}]}',
        '{"choices":[{"index":0,"text":"b"}]}',
        '{"choices":[{"index":1,"text":"other choice"}]}',
        '{"type":"response.output_text.delta","delta":"c"}',
        '{"type":"content_block_delta","delta":{"text":"d"}}',
        '{"choices":[],"usage":{}}',
        "[DONE]",
    ]
    assert text_of(events) == "abcd"


@asynccontextmanager
async def answering(wire: bytes):
    """A server that answers any request with `wire` and closes."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(wire)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


SSE = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def chunked(*events: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(event), event) for event in events)


async def test_a_whole_stream_is_reported_whole():
    """Status, headers, events, the one [DONE], the clean end."""
    wire = SSE + chunked(b": hi\n\n", b'data: {"a":1}\n\n', b"data: [DONE]\n\n") + b"0\r\n\r\n"
    async with answering(wire) as port:
        heard = await ask(port, get("/"))
    assert (heard.status, heard.headers["content-type"], heard.end) == (200, "text/event-stream", End.COMPLETE)
    assert heard.events == ['{"a":1}', "[DONE]"]
    assert (heard.done, heard.errors, heard.terminals, heard.comments, heard.half) == (1, [], 1, 1, "")


async def test_a_stream_that_stops_in_an_event_is_cut_and_the_half_is_shown():
    """A clean end of file in the middle is no clean end."""
    async with answering(SSE + chunked(b"data: 1\n\n", b"data: ha")) as port:
        heard = await ask(port, get("/"))
    assert (heard.end, heard.events, heard.half, heard.terminals) == (End.CUT, ["1"], "data: ha", 0)


async def test_an_error_event_is_a_terminal_event():
    """OpenAI's shape and Anthropic's are both seen."""
    events = (b'data: {"error":{"code":"worker_failed"}}\n\n', b'data: {"type":"error","message":"x"}\n\n')
    async with answering(SSE + chunked(*events) + b"0\r\n\r\n") as port:
        heard = await ask(port, post("/", {}))
    assert heard.errors == [{"code": "worker_failed"}, {"type": "error", "message": "x"}]
    assert heard.terminals == 2


async def test_a_short_body_and_garbage_are_told_apart():
    """Less than Content-Length promised is a cut; what is no HTTP is garbage."""
    async with answering(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc") as port:
        heard = await ask(port, get("/"))
    assert (heard.end, heard.body) == (End.CUT, b"abc")
    async with answering(b"nonsense here\r\n\r\n") as port:
        assert (await ask(port, get("/"))).end is End.GARBAGE


async def test_a_conversation_can_stop_after_some_events_and_leave():
    """Mid-stream is a place that a test can stand in."""
    wire = SSE + chunked(b"data: 1\n\n", b"data: 2\n\n", b"data: [DONE]\n\n") + b"0\r\n\r\n"
    async with answering(wire) as port, calling(port, get("/")) as conversation:
        heard = await conversation.hear(events=1)
        assert heard.events == ["1"]
        assert (await conversation.hear(events=2)).events == ["1", "2"]
        conversation.leave(reset=True)


async def test_informational_answers_are_passed_over():
    """100 Continue is not the answer."""
    async with answering(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok") as port:
        heard = await ask(port, get("/"))
    assert (heard.status, heard.body, heard.end) == (200, b"ok", End.COMPLETE)
