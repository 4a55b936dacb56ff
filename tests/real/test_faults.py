"""Rows of the fault matrix on the real engine: its streams are cut, its host is lost, it is stopped and it hangs.

A gateway of its own stands before the shared house's engine, through fault proxies: two proxies in front of one engine
are two workers, of which one may fail while nobody has to wait for a restart.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from registry.snapshot import ModelView, Timeouts, WorkerView
from tests.faults.client import End, Transcript, ask, calling, post
from tests.faults.proxy import Accepting, Ending, FaultProxy, Faults, Way, proxying
from tests.faults.verify import text_of
from tests.processes import Gateway, gateway, offspring, short_folder
from tests.real.house import MODEL, QUESTION, House, endless
from tests.waiting import eventually

pytestmark = [pytest.mark.real, pytest.mark.timeout(1800)]

CHAT = "/v1/chat/completions"
POINTS = 20
LENGTH = 7000
"""About as many bytes as the answer below has on the wire."""
SHORT = Timeouts(first_token=60.0, idle=8.0, answer=60.0)
"""Only where a limit is what is tried: an engine on a busy machine may well say nothing for seconds."""


@pytest.fixture(scope="module")
def front() -> Iterator[Gateway]:
    with short_folder() as folder, gateway(folder) as started:
        yield started


def question(*, stream: bool, **changes: Any) -> bytes:
    body = {"model": MODEL, "messages": QUESTION, "max_tokens": 24, "temperature": 0, "stream": stream}
    return post(CHAT, body | changes)


def pool(house: House, *proxies: FaultProxy, **changes: Any) -> ModelView:
    """The house's model, on its one engine behind each of the proxies."""
    known = next(each for each in house.snapshot().models if each.name == MODEL)
    workers = tuple(_behind(known.workers[0], proxy, number) for number, proxy in enumerate(proxies))
    return msgspec.structs.replace(known, workers=workers, **changes)


def _behind(view: WorkerView, proxy: FaultProxy, number: int) -> WorkerView:
    return msgspec.structs.replace(view, id=f"behind-{number}", url=proxy.url)


def engine_of(house: House) -> tuple[str, int]:
    view = house.worker()
    assert view is not None
    return ("127.0.0.1", int(view.url.rpartition(":")[2]))


def whole(heard: Transcript) -> bool:
    return heard.status == 200 and heard.end is End.COMPLETE and (heard.done, heard.errors, heard.half) == (1, [], "")


def told(heard: Transcript) -> list[str]:
    """The codes of the error events of a stream that broke off as it should: no `[DONE]`, no half event."""
    assert (heard.status, heard.end, heard.done, heard.half) == (200, End.COMPLETE, 0, "")
    return [error["code"] for error in heard.errors]


async def idle(house: House) -> None:
    await eventually(lambda: not house.engine("vllm:num_requests_running"), within=60, what="an idle engine")


@contextmanager
def frozen(pids: list[int]) -> Iterator[None]:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("ending", list(Ending), ids=lambda each: each.name)
async def test_a_stream_cut_anywhere_is_whole_or_told(house: House, front: Gateway, ending: Ending):
    """Row 10, at seeded offsets: never a silent success, and never a word that the whole answer does not begin with."""
    chance = random.Random(10)
    async with proxying(engine_of(house)) as proxy:
        front.publish(pool(house, proxy))
        full = text_of((await ask(front.port, question(stream=True))).events)
        for _ in range(POINTS):
            proxy.become(Faults(to_client=Way(cut_after=chance.randrange(1, LENGTH), ending=ending)))
            heard = await ask(front.port, question(stream=True))
            if heard.status != 200:
                assert heard.json()["error"]["code"] in {"worker_failed", "no_worker"}
            elif not whole(heard):
                assert told(heard) == ["worker_failed"]
                assert full.startswith(text_of(heard.events))


async def test_a_worker_that_is_gone_costs_no_request(house: House, front: Gateway):
    """Rows 1 and 2: refused connections and deaths before the first token are answered by the other worker."""
    async with proxying(engine_of(house)) as good, proxying(engine_of(house)) as bad:
        for wrong in (Faults(accepting=Accepting.RESET), Faults(to_client=Way(cut_after=20))):
            bad.become(wrong)
            front.publish(pool(house, bad, good))
            for stream in (True, False, True):
                heard = await ask(front.port, question(stream=stream))
                assert whole(heard) if stream else heard.json()["choices"][0]["finish_reason"]
        assert front.metric("enginehouse_retries_total") >= 2


async def test_a_host_that_is_gone_is_told_at_the_limit(house: House, front: Gateway):
    """Row 8: nothing comes any more, no FIN either. The engine is told as soon as it can be: it ends idle."""
    async with proxying(engine_of(house)) as proxy:
        front.publish(pool(house, proxy, timeouts=SHORT))
        async with calling(front.port, post(CHAT, endless(stream=True))) as stream:
            await stream.hear(events=5)
            proxy.become(Faults(to_client=Way(stalled=True), to_worker=Way(stalled=True)))
            assert told(await stream.hear()) == ["idle_timeout"]
        proxy.become(Faults())
        await idle(house)


async def test_a_stopped_engine_is_told_at_the_limit_and_wakes_up_for_nobody(house: House, front: Gateway):
    """Row 6: SIGSTOP of all its processes in mid-stream; after SIGCONT no late chunk comes and it ends idle."""
    worker = house.worker()
    assert worker is not None
    assert worker.pid is not None
    async with proxying(engine_of(house)) as proxy:
        front.publish(pool(house, proxy, timeouts=SHORT))
        async with calling(front.port, post(CHAT, endless(stream=True))) as stream:
            await stream.hear(events=5)
            with frozen([worker.pid, *offspring(worker.pid)]):
                heard = await stream.hear()
            received = len(heard.body)
            assert told(heard) == ["idle_timeout"]
            await idle(house)
            assert len(stream.transcript.body) == received
    house.ready()


async def test_a_generation_that_hangs_behind_a_healthy_server_is_told(house: House, front: Gateway):
    """Row 7: the engine's own processes stand still, its server answers: 504 for what has sent nothing."""
    worker = house.worker()
    assert worker is not None
    assert worker.pid is not None
    async with proxying(engine_of(house)) as proxy:
        quick = msgspec.structs.replace(SHORT, first_token=2.0)
        front.publish(pool(house, proxy, timeouts=quick))
        with frozen(offspring(worker.pid)):
            heard = await ask(front.port, question(stream=True))
        assert (heard.status, heard.json()["error"]["code"]) == (504, "first_token_timeout")
        await idle(house)
    house.ready()
