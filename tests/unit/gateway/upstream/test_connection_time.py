"""Deadlines and draining of a connection, on a clock that leaps."""

from __future__ import annotations

import asyncio

import pytest

from gateway.upstream.connection import BUFFER_LIMIT, DRAIN, Connection
from gateway.upstream.faults import Silent
from tests.unit.gateway.builders import Wire, chunked, jumping, turns

HEAD = b"POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n"
STREAM = chunked(b"data", end=False)
END = b"0\r\n\r\n"


def now():
    return asyncio.get_running_loop().time()


def at(moment, act, *args):
    asyncio.get_running_loop().call_at(moment, act, *args)


async def passing(seconds):
    """Until the clock has moved on."""
    passed = asyncio.Event()
    at(now() + seconds, passed.set)
    await passed.wait()


async def begun(*, answer=STREAM, limit=None):
    connection, wire = Connection(asyncio.get_running_loop()), Wire()
    connection.connection_made(wire)
    asyncio.get_running_loop().call_soon(connection.data_received, answer)
    await connection.begin(HEAD, b"", limit)
    return connection, wire


@jumping
async def test_a_worker_that_never_answers_is_cut_at_the_limit():
    connection, wire = Connection(asyncio.get_running_loop()), Wire()
    connection.connection_made(wire)
    with pytest.raises(Silent) as caught:
        await connection.begin(HEAD, b"", 120.0)
    assert (now(), caught.value.answered, wire.aborted) == (pytest.approx(120.0, abs=0.01), False, True)


@jumping
async def test_headers_that_trickle_do_not_move_the_limit():
    """The limit is for the whole of the headers: a byte a second does not extend it."""
    connection = Connection(asyncio.get_running_loop())
    connection.connection_made(Wire())
    for second in range(100):
        at(float(second), connection.data_received, STREAM[second % 10 : second % 10 + 1] if second < 10 else b"x")
    with pytest.raises(Silent) as caught:
        await connection.begin(HEAD, b"", 5.5)
    assert (now(), caught.value.answered) == (pytest.approx(5.5, abs=0.01), True)


@jumping
async def test_a_stream_that_stands_still_is_cut_at_the_limit():
    connection, wire = await begun()
    assert await connection.read(30.0) == b"data"
    with pytest.raises(Silent):
        await connection.read(30.0)
    assert (now(), wire.aborted) == (pytest.approx(30.0, abs=0.01), True)


@jumping
async def test_each_read_has_its_own_limit():
    connection, _ = await begun()
    for moment in (20.0, 40.0, 60.0):
        at(moment, connection.data_received, b"1\r\nx\r\n")
    assert await connection.read(30.0) == b"data"
    assert [await connection.read(30.0) for _ in range(3)] == [b"x", b"x", b"x"]
    assert now() == pytest.approx(60.0)


@jumping
async def test_time_in_which_nobody_reads_is_not_the_workers():
    """A slow client must not make a healthy worker look silent: only a wait for the worker counts."""
    connection, wire = await begun()
    assert await connection.read(30.0) == b"data"
    await passing(100.0)
    connection.data_received(b"1\r\nx\r\n")
    assert (wire.aborted, await connection.read(30.0)) == (False, b"x")


@jumping
async def test_no_limit_waits_for_ever():
    connection, _ = await begun()
    await connection.read(None)
    at(1e6, connection.data_received, b"1\r\nx\r\n")
    assert await connection.read(None) == b"x"


@jumping
async def test_a_shorter_limit_after_a_longer_one_holds():
    """One timer a connection: an earlier deadline moves it."""
    connection, _ = await begun(limit=600.0)
    await connection.read(600.0)
    with pytest.raises(Silent):
        await connection.read(1.0)
    assert now() == pytest.approx(1.0, abs=0.01)


@jumping
async def test_drained_to_its_end_a_connection_is_kept():
    """The terminal event was read; the last chunk is on its way and belongs to nobody."""
    connection, wire = await begun()
    kept = []
    connection.leave(kept.append, drain=True)
    assert kept == []
    connection.data_received(END)
    assert (kept, connection.idle, wire.aborted) == ([connection], True, False)


@jumping
async def test_a_body_that_does_not_end_in_time_is_aborted():
    connection, wire = await begun()
    connection.leave(pytest.fail, drain=True)
    await passing(DRAIN + 0.1)
    assert (wire.aborted, connection.idle) == (True, False)


@jumping
async def test_a_paused_worker_is_read_again_to_be_drained():
    connection, wire = await begun(answer=chunked(b"x" * (BUFFER_LIMIT + 1), end=False))
    assert wire.paused
    connection.leave(lambda _: None, drain=True)
    assert not wire.paused


@jumping
async def test_a_worker_that_closes_while_it_is_drained_is_not_kept():
    connection, _ = await begun()
    connection.leave(pytest.fail, drain=True)
    connection.connection_lost(None)
    await passing(2 * DRAIN)
    assert not connection.idle


@jumping
async def test_after_a_drain_the_next_exchange_has_its_own_time():
    """The drain's deadline does not ring in the middle of the next exchange."""
    connection, wire = await begun()
    connection.leave(lambda each: each.rest(4.0), drain=True)
    connection.data_received(END)
    at(3.9, connection.data_received, STREAM)
    await connection.begin(HEAD, b"", None)
    await passing(100.0)
    assert not wire.aborted


@jumping
async def test_an_idle_connection_closes_after_its_rest():
    connection, wire = await begun(answer=chunked(b""))
    connection.leave(lambda each: each.rest(4.0), drain=False)
    await passing(3.9)
    assert connection.idle
    await passing(0.2)
    await turns()
    assert (connection.idle, wire.aborted) == (False, True)
