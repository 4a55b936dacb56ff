"""One keep-alive connection: exchanges, backpressure, faults. The other side is the test; time does not pass."""

from __future__ import annotations

import asyncio
import socket

import pytest

from gateway.upstream.connection import BUFFER_LIMIT, RECEIVE, Connection
from gateway.upstream.faults import PeerClosed, ProtocolBroken
from tests.unit.gateway.builders import Wire, cancelled, chunked, http, turns

HEAD = b"POST / HTTP/1.1\r\ncontent-length: 2\r\n\r\n"


def connected():
    connection, wire = Connection(asyncio.get_running_loop()), Wire()
    connection.connection_made(wire)
    return connection, wire


def soon(work):
    return asyncio.get_running_loop().create_task(work)


async def exchange(connection, *pieces):
    """Begin an exchange that the other side answers with `pieces`."""
    begun = soon(connection.begin(HEAD, b"{}", None))
    await turns()
    for piece in pieces:
        connection.data_received(piece)
    return await begun


async def test_a_request_goes_out_whole_and_its_answer_comes_back():
    connection, wire = connected()
    response = await exchange(connection, http(b"hello"))
    assert (wire.written, response.status) == (HEAD + b"{}", 200)
    assert [await connection.read(None), await connection.read(None)] == [b"hello", b""]


async def test_a_complete_exchange_leaves_an_idle_connection():
    """Keep-alive: the same connection carries the next exchange."""
    connection, wire = connected()
    kept = []
    for body in (b"one", b"two"):
        await exchange(connection, http(body))
        assert not connection.idle
        assert await connection.read(None) == body
        connection.leave(kept.append, drain=False)
    assert (kept, connection.idle, wire.aborted) == ([connection, connection], True, False)


@pytest.mark.parametrize(
    "wire_bytes", [http(b"x", 200, "connection: close"), http(b"xy")[:-1], chunked(b"x", end=False)]
)
async def test_an_exchange_that_cannot_be_followed_by_another_aborts(wire_bytes):
    """`Connection: close`, and leaving half way: that is how an engine learns that nobody listens."""
    connection, wire = connected()
    await exchange(connection, wire_bytes)
    connection.leave(pytest.fail, drain=False)
    assert (wire.aborted, connection.idle) == (True, False)


async def test_leaving_before_any_answer_aborts():
    connection, wire = connected()
    begun = soon(connection.begin(HEAD, b"{}", None))
    await turns()
    await cancelled(begun)
    connection.leave(pytest.fail, drain=False)
    assert wire.aborted


async def test_leaving_with_unsent_bytes_aborts():
    """A worker that answers before it has read the request must not get its rest as a new one."""
    connection, wire = connected()
    await exchange(connection, http(b"", 413))
    wire.unsent = 1
    connection.leave(pytest.fail, drain=False)
    assert wire.aborted


async def test_a_busy_connection_takes_no_second_exchange():
    connection, _ = connected()
    await exchange(connection, chunked(b"x", end=False))
    with pytest.raises(PeerClosed):
        await connection.begin(HEAD, b"{}", None)


async def test_a_connection_that_the_worker_closed_is_not_idle():
    """The stale connection of every keep-alive pool: nothing was answered, so another one may try."""
    connection, _ = connected()
    connection.connection_lost(None)
    assert not connection.idle
    with pytest.raises(PeerClosed) as caught:
        await connection.begin(HEAD, b"{}", None)
    assert not caught.value.answered


async def test_bytes_that_nobody_asked_for_end_the_connection():
    """They would be read as the next request's answer."""
    connection, wire = connected()
    connection.data_received(http(b"surprise"))
    assert (connection.idle, wire.aborted) == (False, True)


@pytest.mark.parametrize(("pieces", "answered"), [((), False), ((b"H",), True), ((http(b"hello")[:-1],), True)])
async def test_a_close_in_the_middle_says_whether_anything_was_answered(pieces, answered):
    connection, _ = connected()
    begun = soon(connection.begin(HEAD, b"{}", None))
    await turns()
    for piece in pieces:
        connection.data_received(piece)
    connection.connection_lost(ConnectionResetError("reset"))
    with pytest.raises(PeerClosed) as caught:
        await begun
    assert caught.value.answered is answered


@pytest.mark.parametrize("garbage", [b"\x00\x01", b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n"])
async def test_what_is_not_http_breaks_the_exchange_and_counts_as_an_answer(garbage):
    """A worker that has answered, however badly, has the request: it must not be sent again unseen."""
    connection, wire = connected()
    with pytest.raises(ProtocolBroken) as caught:
        await exchange(connection, garbage)
    assert (caught.value.answered, wire.aborted, connection.idle) == (True, True, False)


async def test_what_came_before_a_fault_is_read_before_it():
    connection, _ = connected()
    await exchange(connection, chunked(b"hello", end=False))
    connection.connection_lost(None)
    assert await connection.read(None) == b"hello"
    with pytest.raises(PeerClosed):
        await connection.read(None)


async def test_a_body_without_a_frame_ends_with_the_connection():
    connection, _ = connected()
    await exchange(connection, b"HTTP/1.1 200 OK\r\n\r\nhel", b"lo")
    connection.connection_lost(None)
    assert [await connection.read(None), await connection.read(None)] == [b"hello", b""]


async def test_a_reset_never_ends_a_body_well():
    connection, _ = connected()
    await exchange(connection, b"HTTP/1.1 200 OK\r\n\r\nhello")
    connection.connection_lost(ConnectionResetError())
    await connection.read(None)
    with pytest.raises(PeerClosed):
        await connection.read(None)


async def test_a_slow_reader_pauses_the_worker_at_the_limit():
    """Fault 15: never more than the limit and one read is held; reading goes on where it is taken."""
    connection, wire = connected()
    await exchange(connection, chunked(b"x" * BUFFER_LIMIT, end=False))
    assert not wire.paused
    connection.data_received(b"1\r\nx\r\n")
    assert wire.paused
    assert len(await connection.read(None)) == BUFFER_LIMIT + 1
    assert not wire.paused


async def test_leaving_a_paused_exchange_that_is_complete_keeps_a_reading_connection():
    connection, wire = connected()
    await exchange(connection, chunked(b"x" * (BUFFER_LIMIT + 1), end=False), b"0\r\n\r\n")
    assert wire.paused
    kept = []
    connection.leave(kept.append, drain=False)
    assert (kept, wire.paused) == ([connection], False)


async def test_a_cancelled_read_can_be_followed_by_another():
    connection, _ = connected()
    await exchange(connection, chunked(b"", end=False))
    reading = soon(connection.read(None))
    await turns()
    await cancelled(reading)
    connection.data_received(b"5\r\nhello\r\n")
    assert await connection.read(None) == b"hello"


async def test_abort_may_be_called_again_and_followed_by_the_loss():
    connection, wire = connected()
    connection.abort()
    connection.abort()
    connection.connection_lost(None)
    assert (wire.aborted, connection.idle) == (True, False)


async def test_a_read_brings_little_at_once():
    """Fault 15: what one read may bring is what a stream may hold."""
    with socket.socket() as sock:
        Connection(asyncio.get_running_loop()).connection_made(Wire(socket=sock))
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) <= 2 * RECEIVE


async def test_an_exchange_that_is_cancelled_before_its_answer_closes_the_connection():
    """That is how an engine learns that nobody listens."""
    connection, wire = connected()
    begun = soon(connection.begin(HEAD, b"{}", None))
    await turns()
    begun.cancel()
    with pytest.raises(asyncio.CancelledError):
        await begun
    assert (wire.aborted, connection.idle) == (True, False)


async def test_a_long_body_is_sent_whole_too():
    """It goes out as a second piece instead of being copied."""
    connection, wire = connected()
    begun = soon(connection.begin(HEAD, b"x" * 100_000, None))
    await turns()
    connection.data_received(http(b"hello"))
    await begun
    assert wire.written == HEAD + b"x" * 100_000
