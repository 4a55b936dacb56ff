"""The connection's own rules, on a transport without a socket; what needs HTTP on a wire is in tests/faults."""

from __future__ import annotations

import asyncio

import pytest
from uvicorn.server import ServerState

from gateway.client import WRITE_STALL
from gateway.protocol import Protocol
from gateway.server import configure
from tests.unit.gateway.builders import CHAT, Wire, jumping, nothing

HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n"
LARGE = HEAD.replace(b"10", b"1000000")


class Short:
    """A shortcut that admits everything and remembers what became of it."""

    def __init__(self):
        self.abandoned, self.served = [], []

    def admit(self, _url, _scope):
        return CHAT

    def abandon(self, scope):
        self.abandoned.append(scope["method"])

    async def serve(self, _operation, _scope, body, _wire):
        self.served.append(body)


def connected(shortcut=None):
    config = configure(nothing, shortcut, 1.0)
    config.load()
    loop = asyncio.get_running_loop()
    protocol, wire = Protocol(shortcut, config=config, server_state=ServerState(), app_state={}, _loop=loop), Wire()
    protocol.connection_made(wire)
    return protocol, wire


async def passing(seconds):
    passed = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, passed.set)
    await passed.wait()


@pytest.mark.parametrize(
    ("says", "cut"),
    [
        ([], 10.0),
        ([(0.0, HEAD[:20])], 10.0),
        ([(3.0, HEAD[:20]), (3.0, HEAD[20:30]), (3.9, HEAD[30:40])], 10.0),
        ([(0.0, LARGE)], 30.0),
        ([(9.9, LARGE + b"x")], 39.9),
        ([(0.0, LARGE + b"x" * 100_000)], 30.0),
        ([(0.0, LARGE), (14.0, b"x"), (15.0, b"x")], 30.0),
        ([(0.0, LARGE), (20.0, b"x" * 5 * 1024)], 35.0),
        ([(0.0, LARGE), (20.0, b"x" * 5 * 1024), (14.0, b"x" * 20 * 1024)], 55.0),
    ],
)  # fmt: skip
@jumping
async def test_a_request_that_is_not_whole_in_time_is_cut(says, cut):
    """Fault 15: ten seconds for headers, whatever trickles in; thirty for a body, and one more for each KiB after its
    first read. `says` is what comes, each after so many more seconds.
    """
    began = asyncio.get_running_loop().time()
    protocol, wire = connected(Short())
    for after, data in says:
        await passing(after)
        protocol.data_received(data)
    await passing(began + cut - 0.05 - asyncio.get_running_loop().time())
    assert not wire.aborted
    await passing(0.1)
    assert wire.aborted


@jumping
async def test_a_body_that_we_do_not_read_is_not_late():
    """Its time begins anew, for as long as the gateway takes nothing, which is not the client's fault."""
    protocol, wire = connected(Short())
    protocol.data_received(LARGE)
    protocol.flow.pause_reading()
    await passing(1000.0)
    assert not wire.aborted
    protocol.flow.resume_reading()
    await passing(30.1)
    assert wire.aborted


@jumping
async def test_a_client_that_takes_nothing_is_cut():
    """Fault 15: in a stream, at the end of an answer, or while it is refused: whatever was written to it."""
    protocol, wire = connected()
    protocol._deadline.close()
    protocol.pause_writing()
    await passing(WRITE_STALL - 1.0)
    assert not wire.aborted
    await passing(2.0)
    assert wire.aborted


@jumping
async def test_a_client_that_takes_again_in_time_is_not_cut():
    protocol, wire = connected()
    protocol._deadline.close()
    protocol.pause_writing()
    await passing(WRITE_STALL - 1.0)
    protocol.resume_writing()
    await passing(10 * WRITE_STALL)
    assert not wire.aborted


async def test_a_request_whose_client_left_in_its_body_is_settled_once():
    """It was opened with its headers: else no line and no metric would tell of it."""
    short = Short()
    protocol, _ = connected(short)
    protocol.data_received(HEAD + b"12345")
    protocol.connection_lost(None)
    assert (short.abandoned, short.served) == (["POST"], [])


async def test_a_whole_request_is_served_and_not_abandoned():
    short = Short()
    protocol, _ = connected(short)
    protocol.data_received(HEAD + b"12345")
    protocol.data_received(b"67890")
    await asyncio.sleep(0)
    protocol.connection_lost(None)
    assert (short.abandoned, short.served) == ([], [b"1234567890"])
