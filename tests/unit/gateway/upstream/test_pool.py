"""Keep-alive connections to one worker: which one is lent, which are kept, when they go."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest

from gateway.upstream.connection import Connection
from gateway.upstream.faults import ConnectFailed
from gateway.upstream.pool import KEEP_ALIVE, Address, ConnectionPool
from tests.unit.gateway.builders import NOBODY, Wire, http, jumping
from tests.unit.gateway.scripted import scripted


@pytest.mark.parametrize(
    ("url", "expected", "authority"),
    [
        ("http://h:8001", Address("h", 8001), "h:8001"),
        ("http://h", Address("h", 80), "h:80"),
        ("https://h/v2/", Address("h", 443, tls=True, prefix="/v2"), "h:443"),
        ("http://[::1]:9", Address("::1", 9), "[::1]:9"),
    ],
)
def test_an_address_is_read_from_a_url(url, expected, authority):
    assert (Address.of(url), Address.of(url).authority) == (expected, authority)


def pool_of(**rest):
    return ConnectionPool(Address("127.0.0.1", NOBODY), **rest)


async def served(*, answer=None):
    """A connection whose exchange is over."""
    connection, wire = Connection(asyncio.get_running_loop()), Wire()
    connection.connection_made(wire)
    asyncio.get_running_loop().call_soon(connection.data_received, answer or http(b""))
    await connection.begin(b"x", b"", None)
    return connection, wire


async def test_the_most_recent_connection_is_lent_first():
    """The others may grow old and go."""
    pool = pool_of()
    first, second = [(await served())[0] for _ in range(2)]
    for connection in (first, second):
        pool.give_back(connection)
    assert [pool.reusable(), pool.reusable(), pool.reusable()] == [second, first, None]


async def test_a_connection_that_died_while_idle_is_passed_over():
    pool = pool_of()
    good, dead = [(await served())[0] for _ in range(2)]
    for connection in (good, dead):
        pool.give_back(connection)
    dead.connection_lost(None)
    assert [pool.reusable(), pool.reusable()] == [good, None]


async def test_no_more_than_the_limit_are_kept():
    pool = pool_of(limit=1)
    (_, kept), (_, surplus) = pairs = [await served() for _ in range(2)]
    for connection, _ in pairs:
        pool.give_back(connection)
    assert (kept.aborted, surplus.aborted) == (False, True)


async def test_a_closed_pool_aborts_what_is_idle_and_what_comes_back():
    pool = pool_of()
    (idle, one), (lent, other) = [await served() for _ in range(2)]
    pool.give_back(idle)
    pool.close()
    assert (one.aborted, other.aborted) == (True, False)
    pool.give_back(lent)
    assert other.aborted


@jumping
async def test_an_idle_connection_goes_before_the_worker_closes_it():
    """Else a request is sent into a connection that the worker is closing (uvicorn: 5 s)."""
    pool = pool_of()
    connection, wire = await served()
    pool.give_back(connection)
    rested = asyncio.Event()
    asyncio.get_running_loop().call_at(KEEP_ALIVE + 0.1, rested.set)
    await rested.wait()
    assert (wire.aborted, pool.reusable()) == (True, None)


async def test_a_refused_connection_is_a_connect_failure():
    with pytest.raises(ConnectFailed, match="refused"):
        await pool_of().connect(2.0)


async def test_a_name_that_is_none_is_a_connect_failure():
    """What the resolver raises is not always an `OSError`."""
    with pytest.raises(ConnectFailed):
        await ConnectionPool(Address("a" * 64, 80)).connect(2.0)


async def test_a_connection_that_takes_too_long_is_a_connect_failure():
    """The worker's backlog is full: the kernel lets who comes then wait."""
    with contextlib.ExitStack() as opened:
        full = opened.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            outside = opened.enter_context(socket.socket())
            outside.setblocking(False)
            outside.connect_ex(full.getsockname())
        with pytest.raises(ConnectFailed, match="in time"):
            await ConnectionPool(Address("127.0.0.1", full.getsockname()[1])).connect(0.001)


async def test_a_connection_is_idle_from_the_start():
    async with scripted() as worker:
        connection = await ConnectionPool(Address("127.0.0.1", worker.port)).connect(2.0)
        assert connection.idle
        connection.abort()
