"""The seam to a worker's HTTP: what goes out, what comes back, and whose word each failure becomes."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext

import pytest

from gateway.errors import AnswerTimeout, FirstTokenTimeout, IdleTimeout, WorkerBusy, WorkerFailed, WorkerUnreachable
from gateway.patience import Patience
from gateway.pool.worker import LONGEST_REST, Worker
from registry.snapshot import Timeouts
from tests.unit.gateway.builders import WHOLE_STREAM, chunked, exchange, http, jumping, worker_view
from tests.unit.gateway.scripted import closes, hangs, says, scripted
from tests.waiting import eventually

BODY = b'{"model":"m"}'


def patience(*, stream=True, **limits):
    return Patience(Timeouts(**limits), asyncio.get_running_loop().time, stream=stream)


async def send(worker, *, stream=True, **limits):
    return await worker.send("/v1/x", BODY, patience(stream=stream, **limits), exchange())


async def read(worker, *, stream):
    reply = await send(worker, stream=stream)
    try:
        return await reply.whole()
    finally:
        reply.close()


async def test_a_request_carries_what_the_worker_needs():
    """The worker's key, the request's id, the body as it is; no compression."""
    async with scripted(says(http())) as server:
        await send(Worker(worker_view(port=server.port, key="secret")))
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert (lines[0], body) == (b"POST /v1/x HTTP/1.1", BODY)
    assert {
        b"host: 127.0.0.1:%d" % server.port,
        b"authorization: Bearer secret",
        b"x-request-id: req_1",
        b"accept-encoding: identity",
        b"content-length: 13",
    } <= set(lines)


async def test_a_worker_without_a_key_gets_none():
    async with scripted(says(http())) as server:
        await send(Worker(worker_view(port=server.port)))
    assert b"authorization" not in server.requests[0]


async def test_a_prefix_in_the_workers_url_stays():
    async with scripted(says(http())) as server:
        view = worker_view()
        view = type(view)(id="w", url=f"http://127.0.0.1:{server.port}/llm/", state=view.state)
        await send(Worker(view))
    assert server.requests[0].startswith(b"POST /llm/v1/x ")


async def test_a_json_answer_is_read_whole():
    async with scripted(says(http(b"x" * 500_000))) as server:
        reply = await send(Worker(worker_view(port=server.port)), stream=False)
        assert (reply.status, reply.is_stream(), len(await reply.whole())) == (200, False, 500_000)
        reply.close()


async def test_a_stream_is_read_piece_by_piece_to_its_end():
    async with scripted(says(chunked(WHOLE_STREAM))) as server:
        reply = await send(Worker(worker_view(port=server.port)))
        pieces = []
        while piece := await reply.next():
            pieces.append(piece)
        assert (reply.is_stream(), b"".join(pieces)) == (True, WHOLE_STREAM)


async def test_a_connection_is_used_again():
    async with scripted(says(http(b"1")), says(http(b"2"))) as server:
        worker = Worker(worker_view(port=server.port))
        for body in (b"1", b"2"):
            reply = await send(worker)
            assert await reply.whole() == body
            reply.close()
    assert server.connections == 1


async def test_a_worker_that_closes_after_each_answer_fails_nobody():
    """The race of every keep-alive pool: it closed just as we sent, and has answered nothing."""
    async with scripted(closes(http(b"1")), closes(http(b"2"))) as server:
        worker = Worker(worker_view(port=server.port))
        for body in (b"1", b"2"):
            reply = await send(worker)
            assert await reply.whole() == body
            reply.close()
    assert server.connections == 2


async def test_a_request_is_not_sent_to_every_idle_connection_of_a_worker_that_drops_it():
    """A request that makes a worker hang up reaches it at most twice: on a stale connection and on a fresh one."""
    idle = 4
    async with scripted(*[says(http())] * idle, *[closes()] * (idle + 1)) as server:
        worker = Worker(worker_view(port=server.port))
        replies = await asyncio.gather(*(send(worker) for _ in range(idle)))
        for reply in replies:
            await reply.whole()
            reply.close()
        with pytest.raises(WorkerFailed):
            await send(worker)
    assert len(server.requests) <= idle + 2


async def test_nobody_there_is_unreachable():
    with pytest.raises(WorkerUnreachable):
        await send(Worker(worker_view()))


@pytest.mark.parametrize("wire", [b"", b"H", b"HTTP/1.1 200 OK\r\n", b"garbage\r\n\r\n", b"\x00" * 100])
async def test_an_answer_that_is_none_is_a_failed_worker(wire):
    """Also on the worker's first connection: it had the request, so it is not `WorkerUnreachable`."""
    async with scripted(closes(wire)) as server:
        with pytest.raises(WorkerFailed) as caught:
            await send(Worker(worker_view(port=server.port)))
    assert not isinstance(caught.value, WorkerUnreachable)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("wire", [http(b"hello")[:-1], chunked(b"hello", end=False), chunked(b"")[:-5] + b"zz\r\n"])
async def test_a_body_that_breaks_is_a_failed_worker(wire, stream):
    async with scripted(closes(wire)) as server:
        with pytest.raises(WorkerFailed, match="broke off"):
            await read(Worker(worker_view(port=server.port)), stream=stream)


async def test_a_compressed_answer_is_a_failed_worker():
    """It cannot be read, and nobody asked for it."""
    async with scripted(says(http(b"\x1f\x8b", 200, "content-encoding: gzip"))) as server:
        with pytest.raises(WorkerFailed, match="compressed"):
            await send(Worker(worker_view(port=server.port)))


@pytest.mark.parametrize(
    ("limits", "stream", "expected"),
    [({"first_token": 120.0}, True, FirstTokenTimeout), ({"answer": 600.0}, False, AnswerTimeout)],
)
def test_a_worker_that_never_answers_times_out(limits, stream, expected):
    """Accept and never answer: streams wait for the first token, everything else for the answer."""

    @jumping
    async def wait():
        async with scripted(hangs()) as server:
            with pytest.raises(expected):
                await send(Worker(worker_view(port=server.port)), stream=stream, **limits)
            assert asyncio.get_running_loop().time() == pytest.approx(max(limits.values()), abs=1)
            await server.left.wait()

    wait()


@jumping
async def test_a_stream_that_stands_still_is_idle():
    async with scripted(hangs(chunked(b"x", end=False))) as server:
        reply = await send(Worker(worker_view(port=server.port)), idle=30.0)
        await reply.next(first=True)
        with pytest.raises(IdleTimeout):
            await reply.next()
        reply.close()
        await server.left.wait()


@jumping
async def test_a_json_answer_that_trickles_is_cut_at_the_one_limit():
    """The limit on an answer is for the whole of it, not for each piece."""

    async def trickle(_, writer):
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        for _ in range(1000):
            writer.write(b"x")
            passed = asyncio.Event()
            asyncio.get_running_loop().call_later(10.0, passed.set)
            await passed.wait()
        return False

    async with scripted(trickle) as server:
        reply = await send(Worker(worker_view(port=server.port)), stream=False, answer=600.0)
        with pytest.raises(AnswerTimeout):
            await reply.whole()
        assert asyncio.get_running_loop().time() == pytest.approx(600.0, abs=15)
        reply.close()


async def test_leaving_half_way_is_seen_by_the_worker():
    """Closing the connection is how an engine learns that nobody listens."""
    async with scripted(hangs(chunked(b"x", end=False))) as server:
        reply = await send(Worker(worker_view(port=server.port)))
        await reply.next(first=True)
        reply.close()
        await server.left.wait()


async def test_a_cancelled_request_is_seen_by_the_worker():
    async with scripted(hangs()) as server:
        sending = asyncio.get_running_loop().create_task(send(Worker(worker_view(port=server.port))))
        await eventually(lambda: server.requests)
        sending.cancel()
        await asyncio.wait([sending])
        await server.left.wait()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("", None),
        ("Fri, 31 Dec 1999 23:59:59 GMT", None),
        ("-1", None),
        ("9" * 400, LONGEST_REST),
    ],
)
async def test_retry_after_is_read_where_it_is_a_number(value, expected):
    async with scripted(says(http(b"{}", 429, f"retry-after: {value}"))) as server:
        assert (await send(Worker(worker_view(port=server.port)))).retry_after == expected


FAULTS = {200: None, 204: None, 400: None, 422: None, 302: WorkerFailed, 500: WorkerFailed} | {
    status: WorkerBusy if status in {429, 503} else WorkerFailed for status in (401, 403, 407, 429, 503)
}


@pytest.mark.parametrize(("status", "fault"), FAULTS.items())
async def test_a_status_says_whether_the_worker_has_failed_is_busy_or_is_well(status, fault):
    """Our key is the gateway's affair; any other 4xx is about the request."""
    async with scripted(says(http(b"", status))) as server:
        reply = await send(Worker(worker_view(port=server.port)))
        with nullcontext() if fault is None else pytest.raises(fault) as caught:
            reply.check()
        assert fault is None or caught.type is fault


async def test_a_failure_names_no_address_and_no_path():
    """Security rule 11: the client hears what happened, not where."""
    with pytest.raises(WorkerUnreachable) as caught:
        await send(Worker(worker_view()))
    assert "127.0.0.1" not in str(caught.value)


async def test_closing_a_worker_leaves_what_is_open():
    """A worker that left the snapshot: its streams go on to their end, its idle connections do not stay."""
    async with scripted(says(chunked(b"x", end=False))) as server:
        worker = Worker(worker_view(port=server.port))
        reply = await send(worker)
        worker.close()
        assert await reply.next() == b"x"
        reply.close(complete=True)
