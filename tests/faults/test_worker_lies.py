"""A worker answers what is no answer: row 11 of the fault matrix, and hostile engines.

Nothing of it is ever forwarded raw: before the first token it is a 502, after it the one error event; and no answer
makes the gateway hold more memory than its limits say. What is merely unusual is relayed whole.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterable, Iterator

import pytest

from engines.fake.words import word
from tests.faults.client import Transcript, ask, calling
from tests.faults.engine import saying
from tests.faults.stage import Pair, broken_off, bugs, refused, request, resident, whole
from tests.processes import model
from tests.waiting import eventually

MEGABYTE = 1_000_000
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
SSE = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
BODY = b'{"choices":[{"index":0,"message":{"content":"SECRET"},"finish_reason":"stop"}]}'


def sized(body: bytes, length: int | None = None, extra: bytes = b"") -> bytes:
    return HEAD + extra + b"content-length: %d\r\n\r\n" % (len(body) if length is None else length) + body


def token(number: int, filler: str = "") -> bytes:
    """An event with one word, which `inspect` knows; `filler` makes it longer without being content."""
    choice = {"index": 0, "delta": {"content": word(number)}, "finish_reason": None}
    return b"data: " + json.dumps({"choices": [choice], "filler": filler}).encode() + b"\n\n"


FINISH = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"
STREAM = b"".join(map(token, range(1, 4))) + FINISH + DONE

NO_ANSWER: dict[str, bytes] = {
    "a garbage status line": b"hello world\r\n\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "a binary greeting": bytes(range(256)),
    "a status that is no number": b"HTTP/1.1 abc OK\r\n\r\n",
    "HTTP/2": b"HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n",
    "nothing": b"",
    "half a head": b"HTTP/1.1 200 OK\r\ncontent-le",
    "only informational heads": b"HTTP/1.1 100 Continue\r\n\r\n" * 3,
    "a change of protocol": b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nx",
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "a redirect": b"HTTP/1.1 307 See There\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
    "a status beyond all": b"HTTP/1.1 999 What\r\ncontent-length: 2\r\n\r\n{}",
    "gzip that nobody asked for": sized(BODY, extra=b"content-encoding: gzip\r\n"),
    "two lengths": HEAD + b"content-length: 5\r\ncontent-length: 6\r\n\r\n" + BODY,
    "a length and chunks": HEAD + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "a negative length": HEAD + b"content-length: -1\r\n\r\n" + BODY,
    "a length that is too long": sized(BODY, len(BODY) + 10),
    "a length that is too short": sized(BODY, len(BODY) - 10),
    "a chunk size that is no number": HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n" + BODY,
    "a chunk size beyond all": HEAD + b"transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n" + BODY,
    "a chunk size that is too small": HEAD + b"transfer-encoding: chunked\r\n\r\n5\r\n" + BODY + b"\r\n0\r\n\r\n",
    "a chunk size that is too large": HEAD + b"transfer-encoding: chunked\r\n\r\nfff\r\n" + BODY + b"\r\n0\r\n\r\n",
    "truncated JSON": sized(BODY[:-5]),
    "no JSON": sized(b"<html>SECRET</html>"),
    "bad UTF-8": sized(BODY.replace(b"SECRET", b"\xff\xfe")),
    "a NUL": sized(BODY.replace(b"SECRET", b"SEC\0RET")),
    "brackets without an end": sized(b'{"choices":' + b"[" * 100_000),
    "an empty body": sized(b""),
    "a stream of nothing": SSE,
    "a stream of garbage": SSE + b"data: {SECRET\n\n",
    "a stream with a NUL": SSE + b'data: {"choices":[{"delta":{"content":"a\0b"}}]}\n\n',
}


async def heard_from(pair: Pair, words: Iterable[bytes], *, stream: bool, linger: bool = False) -> Transcript:
    """What a client hears of a worker that says `words`."""
    async with saying(lambda: words, linger=linger) as engine:
        pair.gateway.publish(model(engine.view))
        return await ask(pair.port, request(stream=stream))


async def heard_in_mid_stream(pair: Pair, good: list[bytes], rest: bytes) -> Transcript:
    """The same where `rest` is said once the client has the two tokens before it."""
    heard = asyncio.Event()

    def words() -> Iterator[bytes | None]:
        yield from good
        while not heard.is_set():
            yield None
        yield rest

    async with saying(words) as engine:
        pair.gateway.publish(model(engine.view))
        async with calling(pair.port, request()) as conversation:
            await conversation.hear(events=2)
            heard.set()
            return await conversation.hear()


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "json"])
@pytest.mark.parametrize("words", NO_ANSWER.values(), ids=NO_ANSWER.keys())
async def test_what_is_no_answer_is_a_502(pair: Pair, words: bytes, stream: object):
    """In the envelope, with nothing of the worker's bytes in it; the next request is answered by a good worker."""
    heard = await heard_from(pair, [words], stream=bool(stream))
    assert refused(heard, 502, "worker_failed"), heard
    assert b"SECRET" not in heard.body
    pair.publish()
    assert whole(await ask(pair.port, request(stream=bool(stream))))


async def test_a_lying_worker_is_retried_like_a_dead_one(pair: Pair):
    """Nothing was sent to the client, so the other worker may answer."""
    for words in NO_ANSWER.values():
        async with saying(lambda words=words: [words]) as engine:
            pair.gateway.publish(model(engine.view, pair.second))
            assert whole(await ask(pair.port, request()))
            assert engine.calls == 1, words


async def test_a_json_answer_to_a_stream_is_no_answer(pair: Pair):
    """The openai client would find no event in it and end silently."""
    assert refused(await heard_from(pair, [sized(BODY)], stream=True), 502, "worker_failed")


async def test_a_stream_as_the_answer_to_json_is_no_answer(pair: Pair):
    """Who asked for JSON cannot read events."""
    assert refused(await heard_from(pair, [SSE + STREAM], stream=False), 502, "worker_failed")


ENDLESS: dict[str, tuple[bytes, bytes]] = {
    "headers": (b"HTTP/1.1 200 OK\r\n", b"x-a: b\r\n" * 1000),
    "one header": (b"HTTP/1.1 200 OK\r\nx-a: ", b"b" * 10_000),
    "a status line": (b"HTTP/1.1 200 ", b"b" * 10_000),
    "informational heads": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 400),
    "JSON": (HEAD + b"\r\n", b"[" + b"1," * 50_000),
    "blank": (HEAD + b"\r\n", b" " * 100_000),
    "an event": (SSE, b"data: " + b"x" * 100_000),
    "an error page": (b"HTTP/1.1 500 Oops\r\n\r\n", b"x" * 100_000),
    "a refusal": (b"HTTP/1.1 400 No\r\n\r\n", b"x" * 100_000),
}


@pytest.mark.parametrize(("first", "rest"), ENDLESS.values(), ids=ENDLESS.keys())
async def test_what_has_no_end_is_cut_at_a_limit(pair: Pair, first: bytes, rest: bytes):
    """Bounded by 64 KiB of headers, 4 MiB of one event, 64 MiB of an answer; nothing of it is kept afterwards."""
    stream = first == SSE
    before = resident(pair.gateway)
    async with saying(lambda: itertools.chain([first], itertools.repeat(rest))) as engine:
        pair.gateway.publish(model(engine.view))
        for times in range(1, 4):
            heard = await ask(pair.port, request(stream=stream))
            assert refused(heard, 502, "worker_failed"), heard
            assert engine.sent < times * 80 * MEGABYTE
    # One answer's worth may stay with the allocator; three would be a leak until the collector runs.
    await eventually(lambda: resident(pair.gateway) - before < 100 * MEGABYTE, what="the memory given back")


BROKEN: dict[str, bytes] = {
    "an event that is not JSON": b"data: {oops\n\n" + DONE,
    "bad UTF-8": token(3).replace(b"w0", b"\xff\xfe") + DONE,
    "a NUL": token(3).replace(b"w0", b"\0") + DONE,
    "10 MB in one event": token(3, "x" * 10 * MEGABYTE) + DONE,
    "no [DONE]": FINISH,
    "no final newline": FINISH + DONE.rstrip(b"\n"),
    "half a final newline": FINISH + DONE[:-1],
    "half an event": token(3)[:-20],
}


@pytest.mark.parametrize("rest", BROKEN.values(), ids=BROKEN.keys())
async def test_what_breaks_in_mid_stream_is_told_once(pair: Pair, rest: bytes):
    """The good events before it, one error event, no `[DONE]`, not a byte of the bad event."""
    before = resident(pair.gateway)
    heard = await heard_in_mid_stream(pair, [SSE, token(1), token(2)], rest)
    assert broken_off(heard, "worker_failed"), heard
    assert len(heard.body) < 10_000
    assert resident(pair.gateway) - before < 40 * MEGABYTE


@pytest.mark.parametrize(
    "end", [b"zz\r\n", b"5\r\n" + token(3) + b"\r\n", b"ffff\r\n" + token(3), b"fffffffffffffffff\r\n"]
)
async def test_a_chunk_size_that_lies_in_mid_stream_is_told_once(pair: Pair, end: bytes):
    """No number, too small, too large, beyond all: whatever came whole before it stays."""
    good = token(1) + token(2)
    heard = await heard_in_mid_stream(pair, [CHUNKED + b"%x\r\n" % len(good) + good + b"\r\n"], end)
    assert broken_off(heard, "worker_failed"), heard


UNUSUAL: dict[str, list[bytes]] = {
    "as it should be": [STREAM],
    "CR LF": [STREAM.replace(b"\n", b"\r\n")],
    "CR": [STREAM.replace(b"\n", b"\r")],
    "all line ends mixed": [token(1), token(2).replace(b"\n", b"\r\n"), token(3), FINISH.replace(b"\n", b"\r"), DONE],
    "comments": [STREAM.replace(b"data", b": a comment\n\n: another\ndata")],
    "names, ids and retries": [STREAM.replace(b"data", b"event: x\nid: 1\nretry: 5\ndata")],
    "no blank after the colon": [STREAM.replace(b"data: ", b"data:")],
    "data over two lines": [STREAM.replace(b'"finish_reason"', b'\ndata: "finish_reason"')],
    "events of 1 MB": [token(1, "x" * MEGABYTE), token(2, "y" * MEGABYTE), token(3), FINISH, DONE],
    "one byte at a time": [STREAM[at : at + 1] for at in range(len(STREAM))],
    "cut in all line ends": list(STREAM.replace(b"\n", b"\r\n").partition(b"\r")),
    "words after [DONE]": [STREAM, token(4), DONE],
}


@pytest.mark.parametrize("pieces", UNUSUAL.values(), ids=UNUSUAL.keys())
@pytest.mark.parametrize("linger", [False, True], ids=["closed", "left open"])
async def test_what_is_only_unusual_is_relayed_whole(pair: Pair, pieces: list[bytes], linger: object):
    """Every word once and in order, one `[DONE]`, and the client is not kept waiting for the worker to close."""
    heard = await heard_from(pair, [SSE, *pieces], stream=True, linger=bool(linger))
    lines = heard.body.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    assert whole(Transcript(heard.status, heard.headers, lines, heard.end), 3), heard


async def test_the_gateway_has_found_no_bug_of_its_own(pair: Pair):
    """After all of the above."""
    assert bugs(pair.gateway) == ""
    assert " 500 " not in pair.gateway.log
