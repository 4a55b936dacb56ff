"""Clients that are slow on purpose: row 15 of the fault matrix. One test, because its limits are half a minute."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.faults.client import ask
from tests.faults.stage import Measure, Pair, bugs, meanwhile, request, resident, together, whole
from tests.processes import model
from tests.waiting import eventually

EACH = 5
"""Clients of each kind."""
MEGABYTE = 1_000_000
WORDS = 60_000
"""Of an answer that nobody reads: some ten megabytes."""


class Dripper(asyncio.Protocol):
    """Says `start`, and then one byte every half second, until the server hangs up."""

    def __init__(self, start: bytes) -> None:
        self._start = start
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self.lasted: asyncio.Future[float] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        transport.write(self._start)
        self._drop()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncio's signature)
        self.lasted.set_result(self._loop.time() - self._began)

    def _drop(self) -> None:
        if not self.lasted.done():
            self._transport.write(b"x")
            self._loop.call_later(0.5, self._drop)


async def drip(pair: Pair, start: bytes) -> float:
    """After how many seconds the gateway hung up on `start` and its drops."""
    _, dripper = await asyncio.get_running_loop().create_connection(lambda: Dripper(start), "127.0.0.1", pair.port)
    return await dripper.lasted


@contextmanager
def never_reading(pair: Pair, wire: bytes) -> Iterator[None]:
    """A client that has asked and takes nothing but what fits into its small buffer."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", pair.port))
        client.sendall(wire)
        yield


async def others(pair: Pair, taken: list[float]) -> None:
    """Ordinary requests to the second model's worker, one after the other, until cancelled."""
    while True:
        began = time.perf_counter()
        assert whole(await ask(pair.port, request(seed=1)), seed=1)
        taken.append(time.perf_counter() - began)
        await asyncio.sleep(0.05)


async def is_paused(pair: Pair) -> bool:
    """Whether the worker makes no more tokens, although it is asked for more."""
    before = pair.first.counts()["generation_tokens"]
    await asyncio.sleep(0.5)
    return pair.first.counts()["generation_tokens"] == before


@pytest.mark.timeout(300)
async def test_slow_clients_are_cut_and_harm_nobody(pair: Pair, measured: Measure):
    """Headers are cut at 10 s, bodies and readers at 30 s; meanwhile the engine waits, and others are served."""
    slow = model(pair.first, name="slow", aliases=())
    pair.gateway.publish(model(pair.second), slow)
    wire = request(tokens=WORDS).replace(b'"small"', b'"slow" ')
    head, _, body = wire.partition(b"\r\n\r\n")
    before, taken = resident(pair.gateway), list[float]()
    with contextlib.ExitStack() as readers:
        for _ in range(EACH):
            readers.enter_context(never_reading(pair, wire))
        began = time.perf_counter()
        async with meanwhile(others(pair, taken)) as serving:
            drips = together(drip(pair, start) for start in [head[:20], head + b"\r\n\r\n" + body[:10]] * EACH)
            async with meanwhile(drips) as dripping:
                await eventually(lambda: pair.first.counts()["running"] == EACH, what="running requests")
                await eventually(lambda: is_paused(pair), what="a paused engine")
                assert pair.first.counts()["generation_tokens"] < EACH * WORDS
                assert resident(pair.gateway) - before < EACH * MEGABYTE
                await eventually(lambda: pair.first.counts()["running"] == 0, within=90, what="readers cut")
                measured("15", "readers cut (limit 30 s)", time.perf_counter() - began)
            serving.cancel()
    lasted = dripping.result()
    assert all(seconds > 9 for seconds in lasted[0::2]), lasted
    assert all(seconds > 29 for seconds in lasted[1::2]), lasted
    assert max(lasted[0::2]) < max(lasted[1::2]), lasted
    measured("15", "slow headers cut (limit 10 s)", max(lasted[0::2]))
    measured("15", "slow bodies cut (limit 30 s)", max(lasted[1::2]))
    measured("15", f"others meanwhile, slowest of {len(taken)}", max(taken))
    assert bugs(pair.gateway) == ""
    assert pair.gateway.metric("enginehouse_inflight_requests") == 0
