"""The two ways back to a client behave alike; a client that stops reading holds the worker, and not for ever."""

from __future__ import annotations

import asyncio

import pytest

from gateway.client import WRITE_STALL, AsgiClient, chunk_of
from gateway.errors import ClientGone, WorkerFailed
from gateway.likeness import Likeness
from gateway.upstream.response import Response
from gateway.wire import WireClient
from tests.unit.gateway.builders import Body, Inbox, Outbox, Socket, cancelled, delta, exchange, jumping, sse, turns


class Pass:
    """A step that forwards everything until the empty piece."""

    def __init__(self):
        self.over = False
        self.likeness = Likeness()

    def reframed(self, _read, _bodies):
        return None

    def take(self, piece):
        self.over = not piece
        return piece


def wired():
    socket, record = Socket(), exchange()
    return WireClient(socket, record), socket, record


def parsed(socket):
    response = Response()
    response.feed(socket.written)
    return response


async def passing(seconds):
    passed = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, passed.set)
    await passed.wait()


async def test_a_whole_response_on_a_wire_is_http():
    client, socket, record = wired()
    await client.whole(404, [(b"content-type", b"application/json")], b"{}")
    response = parsed(socket)
    assert (response.status, response.take(), response.complete, record.status) == (404, b"{}", True, 404)
    assert response.headers[b"x-request-id"] == b"req_1"
    assert socket.ends == ["close"]


async def test_a_stream_on_a_wire_is_http():
    client, socket, record = wired()
    await client.start([(b"content-type", b"text/event-stream")])
    await client.write(b": hi\n\n")
    await client.pour(Body(b"one", b"two", b""), Pass())
    await client.end()
    response = parsed(socket)
    assert (response.take(), response.complete, record.status) == (b": hi\n\nonetwo", True, 200)


async def test_an_empty_write_does_not_end_a_stream():
    """An empty chunk is the end of a chunked body."""
    client, socket, _ = wired()
    await client.start([])
    await client.write(b"")
    assert not parsed(socket).complete


@pytest.mark.parametrize("make", [lambda: AsgiClient(Inbox(), Outbox()), lambda: wired()[0]])
async def test_a_stream_begins_once(make):
    client = make()
    assert not client.begun
    await client.start([])
    await client.start([])
    assert client.begun


async def test_beginning_twice_sends_one_start():
    outbox = Outbox()
    client = AsgiClient(Inbox(), outbox)
    await client.start([])
    await client.start([])
    assert len(outbox.messages) == 1


@pytest.mark.parametrize("wire", [True, False])
async def test_what_the_source_raises_is_raised(wire):
    client = wired()[0] if wire else AsgiClient(Inbox(), Outbox())
    await client.start([])
    with pytest.raises(WorkerFailed):
        await client.pour(Body(b"one", WorkerFailed("x")), Pass())


async def test_nothing_is_written_after_a_step_is_over():
    class One(Pass):
        def take(self, piece):
            self.over = True
            return piece

    client, socket, _ = wired()
    await client.start([])
    await client.pour(Body(b"one", b"two"), One())
    assert parsed(socket).take() == b"one"


async def test_a_read_like_those_before_goes_to_the_wire_as_it_came_until_the_end():
    """It keeps its frames; after the end nothing is written, whatever it is like."""
    client, socket, _ = wired()
    await client.start([])
    step, body = Pass(), Body()
    step.likeness.learn(sse(delta("one")))
    pouring = asyncio.get_running_loop().create_task(client.pour(body, step))
    await turns()
    read = chunk_of(sse(delta("two")))
    assert [body.sink.again(each) for each in (read, b"x" + read)] == [True, False]
    body.sink.arrived(b"")
    await pouring
    assert (body.sink.again(read), parsed(socket).take()) == (False, sse(delta("two")))


async def test_a_full_wire_holds_the_worker_until_it_drains():
    client, socket, _ = wired()
    await client.start([])
    body = Body(b"one", b"two", b"")
    socket.fills = True
    pouring = asyncio.get_running_loop().create_task(client.pour(body, Pass()))
    await turns()
    assert (body.held, parsed(socket).take()) == (True, b"one")
    socket.fills = socket.full = False
    socket.drained()
    await pouring
    assert (body.held, parsed(socket).take()) == (False, b"onetwo")


@jumping
async def test_a_send_that_takes_too_long_is_a_client_that_left():
    async def stuck(message):
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    client = AsgiClient(Inbox(), Outbox(hurdle=stuck))
    await client.start([])
    with pytest.raises(ClientGone):
        await client.pour(Body(b"one"), Pass())
    assert asyncio.get_running_loop().time() == pytest.approx(WRITE_STALL)


@jumping
async def test_a_pouring_that_was_cancelled_cuts_nothing_later():
    """Its timer and its wishes end with it: the connection may serve the next request."""
    client, socket, _ = wired()
    await client.start([])
    socket.full = True
    pouring = asyncio.get_running_loop().create_task(client.pour(Body(b"one", b"two"), Pass()))
    await turns()
    await cancelled(pouring)
    await passing(2 * WRITE_STALL)
    assert (socket.ends, socket.drained) == ([], None)


async def test_a_wire_tells_when_the_client_leaves_and_until_when():
    client, socket, _ = wired()
    gone = []
    client.watch(lambda: gone.append(True))
    socket.lost()
    client.unwatch()
    assert (gone, socket.lost) == ([True], None)


async def test_a_client_that_has_already_left_is_told_too():
    client, socket, _ = wired()
    socket.closed, gone = True, []
    client.watch(lambda: gone.append(True))
    await turns()
    assert gone == [True]


async def test_a_watch_that_was_stopped_tells_nothing():
    """Also where the client had left before: the answer is over."""
    client, socket, _ = wired()
    socket.closed, gone = True, []
    client.watch(lambda: gone.append(True))
    client.unwatch()
    await turns()
    assert gone == []
