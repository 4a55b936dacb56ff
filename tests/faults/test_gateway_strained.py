"""The gateway itself at its limits: rows 17 and 18 of the fault matrix."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
import time
from collections.abc import Iterator

import pytest

from registry.snapshot import Timeouts
from tests import processes
from tests.faults.client import Conversation, ask, calling, get, post
from tests.faults.stage import (
    CHAT,
    Measure,
    Pair,
    broken_off,
    bugs,
    cpu_seconds,
    descriptors,
    in_turns,
    refused,
    request,
    timed,
    together,
    whole,
)
from tests.waiting import eventually

MEGABYTE = 1_000_000


@pytest.fixture
def own(module_pair: Pair) -> Iterator[Pair]:
    """The two workers behind a gateway of one's own, with a drain limit of eight seconds."""
    module_pair.first.script()
    module_pair.second.script()
    with processes.short_folder() as folder, processes.gateway(folder, "--drain", "8") as gateway:
        pair = Pair(gateway, module_pair.first, module_pair.second)
        pair.publish()
        yield pair


async def test_sigterm_with_five_hundred_streams(own: Pair, measured: Measure):
    """Row 17: four in five end whole within the drain limit, the rest are told `shutting_down`; exit 0."""
    async with contextlib.AsyncExitStack() as opened:
        short = [await opened.enter_async_context(_stream(own, seed, tokens=40, itl=0.1)) for seed in range(400)]
        long = [await opened.enter_async_context(_stream(own, seed, hang_at=5)) for seed in range(100)]
        idle = await opened.enter_async_context(calling(own.port, get("/livez")))
        await idle.hear()
        await together(each.hear(events=3) for each in (*short, *long))
        began = time.perf_counter()
        own.gateway.process.send_signal(signal.SIGTERM)
        await eventually(lambda: _is_unready(idle), what="a gateway that is not ready")
        measured("17", "not ready after SIGTERM with 500 streams", time.perf_counter() - began)
        ends = await together(each.hear() for each in (*short, *long))
    assert [seed for seed, heard in enumerate(ends[:400]) if not whole(heard, 40, seed=seed)] == []
    assert [seed for seed, heard in enumerate(ends[400:]) if not broken_off(heard, "shutting_down", seed=seed)] == []
    await eventually(lambda: own.gateway.process.poll() is not None, what="the end of the gateway")
    measured("17", "SIGTERM with 500 streams to exit (drain limit 8 s)", time.perf_counter() - began)
    assert own.gateway.process.returncode == 0
    await eventually(lambda: own.first.counts()["running"] + own.second.counts()["running"] == 0, what="idle workers")
    assert bugs(own.gateway) == ""


async def _is_unready(idle: Conversation) -> bool:
    """Whether `/readyz` is 503, or the connection of one who asked for nothing is closed."""
    await idle.say(get("/readyz"))
    return (await idle.another()).status in {503, 0}


def _stream(pair: Pair, seed: int, **script: float) -> contextlib.AbstractAsyncContextManager:
    return calling(pair.port, request(seed=seed, **script))


async def test_without_descriptors_the_gateway_waits_and_does_not_spin(own: Pair, measured: Measure):
    """Row 18: connections beyond the limit wait or are closed; those that are open are served; then all is well."""
    async with calling(own.port, request(seed=1)) as early:
        assert whole(await early.hear(), seed=1)
        limit = descriptors(own.gateway) + 10
        resource.prlimit(own.gateway.process.pid, resource.RLIMIT_NOFILE, (limit, limit))
        async with contextlib.AsyncExitStack() as opened:
            for _ in range(40):
                await opened.enter_async_context(calling(own.port, b""))
            before = cpu_seconds(own.gateway)
            await asyncio.sleep(2)
            used = cpu_seconds(own.gateway) - before
            measured("18", "CPU used in 2 s without descriptors", used)
            assert used < 1.0
            await early.say(request(stream=False, seed=2))
            assert (await early.another()).status in {200, 503}  # a connection to the worker needs a descriptor too
        await eventually(lambda: descriptors(own.gateway) < limit - 5, what="free descriptors")
    for seed in range(20):
        assert whole(await ask(own.port, request(seed=seed)), seed=seed)
    assert bugs(own.gateway) == ""


async def test_large_bodies_do_not_block_the_others(own: Pair, measured: Measure):
    """Row 18: twenty of 4 MB are relayed and twenty of 10 MB refused, while small requests go on."""

    def of(size: int) -> bytes:
        return post(CHAT, {"model": "small", "max_tokens": 2, "messages": [{"role": "user", "content": "a" * size}]})

    fits, large = of(4 * MEGABYTE), of(10 * MEGABYTE)

    async def small() -> float:
        began = time.perf_counter()
        assert (await ask(own.port, get("/livez"))).status == 200
        return time.perf_counter() - began

    async def others() -> list[float]:
        return [await small() for _ in range(100)]

    with timed(measured, "18", "20 bodies of 4 MB and 20 of 10 MB, two at a time"):
        relayed, too_large, taken = await together(
            [
                in_turns(20, 1, lambda _: ask(own.port, fits)),
                in_turns(20, 1, lambda _: ask(own.port, large)),
                others(),
            ]
        )
    assert [heard.status for heard in relayed] == [200] * 20
    # The refusal comes while the body is still being sent, and may be lost with what the kernel throws away.
    assert all(heard.status == 0 or refused(heard, 413, "request_too_large") for heard in too_large)
    measured("18", "other requests meanwhile, slowest of 100", max(taken))
    assert own.gateway.metric("enginehouse_event_loop_lag_seconds_count") > 0  # whoever wants to know can see it


async def test_a_gateway_that_stood_still_holds_it_against_nobody(own: Pair):
    """Stopped for twice the idle limit: what the worker said meanwhile is read before it is found to be silent."""
    own.publish(timeouts=Timeouts(connect=2.0, first_token=2.0, idle=2.0))
    async with contextlib.AsyncExitStack() as opened:
        streams = [await opened.enter_async_context(_stream(own, seed, tokens=60, itl=0.1)) for seed in range(10)]
        await together(each.hear(events=3) for each in streams)
        own.gateway.process.send_signal(signal.SIGSTOP)
        late = await opened.enter_async_context(calling(own.port, request(seed=10)))
        await asyncio.sleep(4)
        own.gateway.process.send_signal(signal.SIGCONT)
        heard = await together(each.hear() for each in streams)
        assert whole(await late.hear(), seed=10)
    assert [seed for seed, each in enumerate(heard) if not whole(each, 60, seed=seed)] == []
    assert own.gateway.metric("enginehouse_resumes_total") == 0
    assert bugs(own.gateway) == ""
