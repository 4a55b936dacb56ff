"""The fault proxy does what it says, over real sockets: what the fault tests prove rests on it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from tests.faults.proxy import Accepting, Ending, FaultProxy, Faults, Way, proxying
from tests.waiting import eventually

DIGITS = b"0123456789"


class Worker:
    """A server that sends `greeting`, then collects what it hears."""

    def __init__(self, greeting: bytes) -> None:
        self.greeting = greeting
        self.heard = b""
        self.ended = False
        self.unsent: Callable[[], int] = lambda: 0

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            self.unsent = writer.transport.get_write_buffer_size
            writer.write(self.greeting)
            while piece := await reader.read(1024):
                self.heard += piece
        self.ended = True
        writer.close()


@asynccontextmanager
async def behind_proxy(faults: Faults, greeting: bytes = DIGITS, pause=asyncio.sleep):
    """A worker behind a proxy with `faults`, and a client connected to it."""
    worker = Worker(greeting)
    server = await asyncio.start_server(worker.converse, "127.0.0.1", 0)
    async with server, proxying(server.sockets[0].getsockname(), pause=pause) as proxy:
        proxy.become(faults)
        async with connected(proxy) as (reader, writer):
            yield worker, proxy, reader, writer


@asynccontextmanager
async def connected(proxy: FaultProxy) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def test_untouched_bytes_pass_both_ways_and_so_does_the_end():
    """Without faults the proxy is a wire, half-closed sockets included."""
    async with behind_proxy(Faults()) as (worker, _, reader, writer):
        writer.write(b"hello")
        writer.write_eof()
        assert await reader.read() == DIGITS
        await eventually(lambda: worker.ended)
        assert worker.heard == b"hello"


@pytest.mark.parametrize("after", range(len(DIGITS) + 1))
async def test_a_fin_comes_after_exactly_so_many_bytes(after: int):
    """`cut_after` counts bytes of the connection; FIN is an end of file, never a reset."""
    async with behind_proxy(Faults(to_client=Way(cut_after=after))) as (_, _, reader, _):
        assert await reader.read() == DIGITS[:after]


async def test_a_reset_reaches_the_client_as_a_reset():
    """SO_LINGER 0 turns the close into RST."""
    async with behind_proxy(Faults(to_client=Way(cut_after=4, ending=Ending.RESET))) as (_, _, reader, _):
        with pytest.raises(ConnectionResetError):
            await reader.read()


async def test_the_way_to_the_worker_is_cut_as_well():
    """A cut on the way up: the worker hears just the first bytes and then the end."""
    async with behind_proxy(Faults(to_worker=Way(cut_after=3))) as (worker, _, _, writer):
        writer.write(b"abcdef")
        await eventually(lambda: worker.ended)
        assert worker.heard == b"abc"


async def test_a_half_close_leaves_the_other_way_open():
    """The client hears nothing more, the worker still hears the client."""
    half = Faults(to_client=Way(cut_after=4, ending=Ending.HALF_CLOSE))
    async with behind_proxy(half) as (worker, _, reader, writer):
        assert await reader.read() == DIGITS[:4]
        writer.write(b"still here")
        await eventually(lambda: worker.heard == b"still here")


async def test_one_byte_is_corrupted_and_only_that_one():
    """The byte's bits are flipped, its neighbours pass."""
    async with behind_proxy(Faults(to_client=Way(corrupt=3))) as (_, _, reader, _):
        assert await reader.readexactly(len(DIGITS)) == b"012\xcc456789"


async def test_slices_pass_one_byte_at_a_time():
    """Between two slices the reader gets its turn."""
    turns: list[float] = []

    async def pause(seconds: float) -> None:
        turns.append(seconds)
        await asyncio.sleep(0)

    async with behind_proxy(Faults(to_client=Way(slices=1)), pause=pause) as (_, _, reader, _):
        assert await reader.readexactly(len(DIGITS)) == DIGITS
        assert turns == [0.0] * len(DIGITS)


async def test_latency_and_bandwidth_are_let_pass_by_the_given_clock():
    """10 bytes at 100 bytes a second take 0.1 s, after the latency of the piece."""
    waited: list[float] = []

    async def pause(seconds: float) -> None:
        waited.append(seconds)

    slow = Faults(to_client=Way(latency=2.0, bandwidth=100.0))
    async with behind_proxy(slow, pause=pause) as (_, _, reader, _):
        await reader.readexactly(len(DIGITS))
        assert waited == [2.0, 0.1]


async def test_a_silent_proxy_accepts_and_the_worker_never_knows():
    """Accept and never answer: the connection opens, nothing comes back, nobody is called."""
    silent = Faults(accepting=Accepting.SILENT)
    async with behind_proxy(silent) as (worker, proxy, reader, writer):
        writer.write(b"anybody?")
        await eventually(lambda: proxy.links)
        assert not reader.at_eof()
        assert worker.heard == b""


async def test_a_refusing_proxy_resets_new_connections():
    """`Accepting.RESET` is what a crashed host looks like after the accept."""
    async with behind_proxy(Faults(accepting=Accepting.RESET)) as (_, _, reader, _):
        with pytest.raises(ConnectionResetError):
            await reader.read()


async def test_faults_change_for_connections_that_are_open():
    """A stalled connection flows again when the stall is taken back."""
    async with behind_proxy(Faults(to_worker=Way(stalled=True))) as (worker, proxy, reader, writer):
        writer.write(b"late")
        assert await reader.readexactly(len(DIGITS)) == DIGITS
        assert worker.heard == b""
        proxy.become(Faults())
        await eventually(lambda: worker.heard == b"late")


async def test_a_stalled_reader_is_felt_by_the_sender():
    """Stop reading: the kernel's buffers fill and the worker cannot send; nothing is lost when it goes on."""
    greeting = b"x" * 20_000_000
    async with behind_proxy(Faults(to_client=Way(stalled=True)), greeting) as (worker, proxy, reader, _):
        await eventually(lambda: worker.unsent() > 0)
        proxy.become(Faults())
        assert await reader.readexactly(len(greeting)) == greeting
        assert worker.unsent() == 0


async def test_open_connections_can_be_ended_at_once():
    """`end_all` is a worker that dies: every client sees it, nothing stays open."""
    async with behind_proxy(Faults()) as (_, proxy, reader, _):
        await reader.readexactly(len(DIGITS))
        proxy.end_all(Ending.RESET)
        with pytest.raises(ConnectionResetError):
            await reader.read()
        await eventually(lambda: not proxy.links)


async def test_a_dead_worker_looks_like_a_reset():
    """What cannot be connected upstream is reset towards the client."""
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    server.close()
    async with proxying(address) as proxy, connected(proxy) as (reader, _):
        with pytest.raises(ConnectionResetError):
            await reader.read()
