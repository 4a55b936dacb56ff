"""A connection over real sockets, on both event loops: what their transports do differently must not matter."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager

import pytest
import uvloop

from gateway.upstream.connection import BUFFER_LIMIT, Connection
from gateway.upstream.faults import PeerClosed
from tests.unit.gateway.builders import chunked, http, turns
from tests.waiting import eventually

READ_SIZE = 256 * 1024
"""Bytes that an event loop reads at once."""


@pytest.fixture(params=[asyncio.SelectorEventLoop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request):
    with asyncio.Runner(loop_factory=request.param) as runner:
        yield runner.run


@asynccontextmanager
async def linked():
    """A connection and the worker's end of its socket."""
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    _, connection = await loop.create_connection(lambda: Connection(loop), sock=ours)
    try:
        yield connection, theirs
    finally:
        connection.abort()
        theirs.close()
        await turns()


def test_two_exchanges_share_a_connection(run):
    async def exchanges():
        async with linked() as (connection, worker):
            for body in (b"one", b"two"):
                worker.send(http(body))
                await connection.begin(b"x", b"", 5.0)
                assert await connection.read(5.0) == body
                connection.leave(lambda _: None, drain=False)
            assert (connection.idle, worker.recv(10)) == (True, b"xx")

    run(exchanges())


def test_a_worker_that_closes_an_idle_connection_is_noticed(run):
    async def close():
        async with linked() as (connection, worker):
            worker.close()
            await eventually(lambda: not connection.idle)
            with pytest.raises(PeerClosed):
                await connection.begin(b"x", b"", 5.0)

    run(close())


def test_a_worker_is_held_back_by_a_reader_that_does_not_read(run):
    """Fault 15: the bytes stay in the kernel and at the worker, not in the gateway."""

    async def hold_back():
        async with linked() as (connection, worker):
            worker.send(chunked(b"", end=False))
            response = await connection.begin(b"x", b"", 5.0)
            await asyncio.wait([asyncio.get_running_loop().create_task(flood(worker))])
            held = sum(map(len, response.chunks))
            assert BUFFER_LIMIT < held <= BUFFER_LIMIT + READ_SIZE
            return connection

    async def flood(worker):
        """Until the kernel takes no more."""
        chunk, refused = b"4000\r\n" + b"x" * 0x4000 + b"\r\n", 0
        while refused < 20:
            try:
                sent = worker.send(chunk)
            except BlockingIOError:
                refused += 1
                await turns()
                continue
            while sent < len(chunk):
                try:
                    sent += worker.send(chunk[sent:])
                except BlockingIOError:
                    refused += 1
                    await turns()
                    if refused > 20:
                        return

    run(hold_back())


def test_an_abort_is_seen_by_the_worker(run):
    async def leave():
        async with linked() as (connection, worker):
            worker.send(chunked(b"x", end=False))
            await connection.begin(b"x", b"", 5.0)
            connection.leave(pytest.fail, drain=False)
            worker.setblocking(True)
            await turns()
            assert [worker.recv(10), worker.recv(10)] == [b"x", b""]

    run(leave())
