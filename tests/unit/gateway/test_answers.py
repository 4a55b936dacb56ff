"""What goes to the client: whole events, exactly one terminal event, and everything given back on every way out."""

from __future__ import annotations

import asyncio

import pytest

from gateway.answers import Failure, StreamAnswer, WholeAnswer
from gateway.client import AsgiClient
from gateway.errors import FirstTokenTimeout, IdleTimeout, NoWorker, WorkerFailed
from gateway.pool.lease import Lease, Outcome
from gateway.reading import StreamReader
from gateway.upstream.response import Response
from gateway.wire import WireClient
from tests.unit.gateway.builders import (
    CHAT,
    MESSAGES,
    RESPONSES,
    USAGE,
    WHOLE_STREAM,
    Body,
    Clock,
    Inbox,
    Outbox,
    Socket,
    cancelled,
    delta,
    exchange,
    finish,
    sse,
    turns,
)

ROLE = sse(delta("", role="assistant"))
DONE = sse("[DONE]")


class Streaming:
    """One stream's answer, its worker's body and its client."""

    def __init__(self, *pieces, operation=CHAT, hide_usage=False, wire=False, hurdle=None):
        self.body, self.outcomes, self.exchange = Body(*pieces), [], exchange(stream=True)
        lease = Lease(None, lambda _, outcome: self.outcomes.append(outcome), trial=False)
        reader = StreamReader(operation, hide_usage=hide_usage)
        self.answer = StreamAnswer(operation, reader, self.body, lease, self.exchange, Clock(), lambda _: None)
        self.outbox, self.socket = Outbox(hurdle=hurdle), Socket()
        self.client = WireClient(self.socket, self.exchange) if wire else AsgiClient(Inbox(), self.outbox)

    async def run(self):
        await self.answer.first()
        await self.answer(self.client)

    @property
    def sent(self):
        """The bytes of the stream that the client got."""
        if not self.socket.written:
            return self.outbox.body
        response = Response()
        response.feed(self.socket.written)
        return response.take()


@pytest.fixture(params=[False, True], ids=["asgi", "wire"])
def wire(request):
    return request.param


@pytest.mark.parametrize("size", [1, 7, 10_000])
async def test_a_stream_reaches_the_client_byte_for_byte(wire, size):
    stream = Streaming(*(WHOLE_STREAM[at : at + size] for at in range(0, len(WHOLE_STREAM), size)), wire=wire)
    await stream.run()
    assert stream.sent == WHOLE_STREAM
    assert (stream.body.closed, stream.outcomes) == ([True], [Outcome.WORKED])


async def test_an_asgi_answer_ends_once_and_says_what_it_is():
    stream = Streaming(WHOLE_STREAM)
    await stream.run()
    assert (stream.outbox.status, stream.outbox.ended) == (200, True)
    assert stream.outbox.headers[b"content-type"] == b"text/event-stream; charset=utf-8"
    assert stream.outbox.headers[b"cache-control"] == b"no-cache"
    assert stream.outbox.headers[b"x-accel-buffering"] == b"no"
    assert b"server-timing" in stream.outbox.headers


async def test_a_wire_is_closed_once_after_its_last_chunk():
    stream = Streaming(WHOLE_STREAM, wire=True)
    await stream.run()
    assert (stream.socket.ends, stream.socket.written.endswith(b"\r\n0\r\n\r\n")) == (["close"], True)


BREAKS = [
    (b"", "before the answer was complete"),
    (WorkerFailed("The worker broke off."), "broke off"),
    (IdleTimeout("The stream stood still."), "stood still"),
    (sse({"error": {"message": "CUDA"}}), "reported an error"),
    (sse(finish("abort")), "aborted"),
    (b"data: {\n\n", "not JSON"),
]


@pytest.mark.parametrize(("last", "why"), BREAKS)
async def test_a_failure_after_the_first_token_is_one_error_event(wire, last, why):
    """No `[DONE]`, no invented end, no half event; the worker is left and its breaker is told."""
    stream = Streaming(ROLE, sse(delta("Hi")), last, wire=wire)
    await stream.run()
    events = stream.sent.split(b"\n\n")
    assert (len(events), events[-1]) == (4, b"")
    assert events[2].startswith(b'data: {"error":')
    assert why.encode() in events[2]
    assert b"[DONE]" not in stream.sent
    assert (stream.body.closed, stream.outcomes, bool(stream.exchange.code)) == ([False], [Outcome.FAILED], True)


@pytest.mark.parametrize(
    ("operation", "start", "expected"),
    [
        (
            RESPONSES,
            {"type": "response.output_text.delta"},
            b'event: error\ndata: {"type":"error","code":"worker_failed"',
        ),
        (MESSAGES, {"type": "content_block_delta"}, b'event: error\ndata: {"type":"error","error":{"type":"api_error"'),
    ],
)
async def test_each_dialect_has_its_own_error_event(operation, start, expected):
    stream = Streaming(sse(start), b"", operation=operation)
    await stream.run()
    assert stream.sent.removeprefix(sse(start)).startswith(expected)


@pytest.mark.parametrize(
    "failure", [WorkerFailed("x"), FirstTokenTimeout("x"), b"", sse({"error": "x"}), b"data: {\n\n"]
)
async def test_a_failure_before_the_first_token_raises_and_gives_everything_back(failure):
    """Another worker may be tried: the client has seen nothing; this one has failed, and its breaker is told."""
    stream = Streaming(b": hello\n\n", ROLE, failure)
    with pytest.raises((WorkerFailed, FirstTokenTimeout)):
        await stream.answer.first()
    assert (stream.body.closed, stream.outcomes, stream.outbox.messages) == ([False], [Outcome.FAILED], [])


async def test_a_failure_in_the_read_that_brings_the_first_token_is_told_after_it():
    stream = Streaming(ROLE + sse(delta("Hi"), {"error": "x"}))
    await stream.run()
    assert stream.sent.startswith(ROLE + sse(delta("Hi")) + b'data: {"error"')


async def test_waiting_for_the_first_token_cancelled_gives_everything_back():
    stream = Streaming(ROLE)
    task = asyncio.get_running_loop().create_task(stream.answer.first())
    await turns()
    await cancelled(task)
    assert (stream.body.closed, stream.outcomes) == ([False], [Outcome.UNKNOWN])


async def test_a_stream_cancelled_half_way_gives_everything_back_once(wire):
    """The client left, or the gateway drains: in the second case it reads why."""
    stream = Streaming(sse(delta("Hi")), wire=wire)
    task = asyncio.get_running_loop().create_task(stream.run())
    await turns()
    await cancelled(task)
    assert task.cancelled()
    assert (stream.body.closed, stream.outcomes) == ([False], [Outcome.UNKNOWN])
    assert b"shutting_down" in stream.sent
    assert stream.socket.ends == ["close"] if wire else stream.outbox.ended


async def test_a_stream_cancelled_after_its_terminal_event_gets_no_other():
    """Exactly one terminal event, also where the cancellation comes in the instant after it."""
    stream = Streaming(sse(delta("Hi")), wire=True)
    task = asyncio.get_running_loop().create_task(stream.run())
    await turns()
    stream.body.pieces.append(DONE)
    stream.body.push()
    await cancelled(task)
    assert stream.sent == sse(delta("Hi"), "[DONE]")


@pytest.mark.parametrize("at", [1, 2, 3])
async def test_a_send_that_raises_gives_everything_back(at):
    """Servers other than ours raise when the client is gone."""
    sent = []

    async def break_off(message):
        sent.append(message)
        if len(sent) == at:
            raise OSError("gone")

    stream = Streaming(sse(delta("Hi")), sse(delta("there")), DONE, hurdle=break_off)
    with pytest.raises(OSError, match="gone"):
        await stream.run()
    assert (stream.body.closed, len(stream.outcomes)) == ([False], 1)


async def test_the_lease_is_given_back_before_the_client_has_taken_the_end():
    """A client that is slow to take the last bytes holds no worker."""
    stalled = asyncio.Event()

    async def stall(message):
        if message["type"] == "http.response.body" and not message["more_body"]:
            await stalled.wait()

    stream = Streaming(WHOLE_STREAM, hurdle=stall)
    task = asyncio.get_running_loop().create_task(stream.run())
    await turns()
    assert (task.done(), stream.outcomes) == (False, [Outcome.WORKED])
    stalled.set()
    await task


async def test_usage_that_nobody_asked_for_is_noted_and_not_sent(wire):
    stream = Streaming(sse(delta("Hi"), USAGE, "[DONE]"), hide_usage=True, wire=wire)
    await stream.run()
    assert (stream.sent, stream.exchange.usage.completion) == (sse(delta("Hi"), "[DONE]"), 2)


async def test_a_whole_answer_is_one_response():
    outbox = Outbox()
    await WholeAnswer(CHAT, 200, b'{"a":1}', exchange(answered=100.0), Clock())(AsgiClient(Inbox(), outbox))
    assert (outbox.status, outbox.body, outbox.ended, len(outbox.messages)) == (200, b'{"a":1}', True, 2)
    assert outbox.headers[b"content-length"] == b"7"


async def test_a_failure_after_heartbeats_is_one_event_and_the_end():
    """The 200 went out with the first comment."""
    outbox, record = Outbox(), exchange()
    client = AsgiClient(Inbox(), outbox)
    await client.start([])
    await Failure(CHAT, NoWorker("nobody"), record)(client)
    assert (outbox.ended, record.code) == (True, "no_worker")
    assert outbox.body.startswith(b'data: {"error":')


async def test_a_worker_that_talks_on_without_a_token_is_given_up():
    """Comments are held until there is one: without a bound they would fill the memory."""
    stream = Streaming(*[b": busy" + b"." * 50_000 + b"\n\n"] * 10)
    with pytest.raises(WorkerFailed, match="before its first token"):
        await stream.run()
    assert (len(stream.body.pieces), stream.outcomes) == (4, [Outcome.FAILED])
