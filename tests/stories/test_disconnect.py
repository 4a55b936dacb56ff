"""The client leaves: in every phase the worker is free again at once, and the gateway keeps nothing.

Asserted on the worker's own counts (running, aborted, tokens made for nobody), on the gateway's gauges and on the
lease: with a capacity of one, the next request can only be answered if the first one's hold is gone.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from registry.snapshot import QueueLimits
from tests.faults.client import Conversation, ask, calling, post
from tests.faults.proxy import Accepting, Faults, proxying
from tests.processes import FakeWorker, Gateway, model
from tests.waiting import eventually

CHAT = "/v1/chat/completions"
WAYS = pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])


def request(*, stream: bool = True, **script: Any) -> bytes:
    ask_for = {"model": "small", "messages": [{"role": "user", "content": "hi"}], "stream": stream}
    return post(CHAT, ask_for | {"x_fake": {"tokens": 1000} | script})


@asynccontextmanager
async def all_given_back(gateway: Gateway, worker: FakeWorker, aborts: int = 1) -> AsyncIterator[None]:
    """At the end of the block the worker is idle, has seen `aborts` more aborts, and no gauge is left above zero."""
    before = worker.counts()
    yield
    await eventually(lambda: worker.counts()["running"] == worker.counts()["waiting"] == 0, what="an idle worker")
    await eventually(lambda: gateway.metric("enginehouse_inflight_requests") == 0, what="an empty gateway")
    assert worker.counts()["aborted"] == before["aborted"] + aborts
    assert worker.counts()["after_leave"] == before["after_leave"]
    assert gateway.metric("enginehouse_queue_depth") == 0


async def is_running(worker: FakeWorker, count: int = 1) -> None:
    await eventually(lambda: worker.counts()["running"] == count, what=f"{count} running requests")


async def answers(gateway: Gateway) -> None:
    """A short request is answered: the lease is free."""
    assert (await ask(gateway.port, request(stream=False, tokens=2))).status == 200


@pytest.fixture
def narrow(gateway: Gateway, worker: FakeWorker) -> Gateway:
    """A gateway that gives its worker one request at a time."""
    gateway.publish(model(worker.view(capacity=1)))
    return gateway


@WAYS
async def test_before_the_first_token(narrow: Gateway, worker: FakeWorker, reset: object):
    """Prefill: the worker works, nothing has come yet."""
    async with all_given_back(narrow, worker), calling(narrow.port, request(ttft=60)) as conversation:
        await is_running(worker)
        conversation.leave(reset=bool(reset))
        await answers(narrow)


@WAYS
async def test_in_the_middle_of_a_stream(narrow: Gateway, worker: FakeWorker, reset: object):
    """Decode: some events have been read, more are coming."""
    async with all_given_back(narrow, worker), calling(narrow.port, request(itl=0.01)) as conversation:
        await conversation.hear(events=3)
        conversation.leave(reset=bool(reset))
        await answers(narrow)


@WAYS
async def test_between_two_tokens_that_are_far_apart(narrow: Gateway, worker: FakeWorker, reset: object):
    """The gateway need not try to write to learn that the client is gone."""
    async with all_given_back(narrow, worker), calling(narrow.port, request(hang_at=2)) as conversation:
        await conversation.hear(events=2)
        conversation.leave(reset=bool(reset))
        await answers(narrow)


@WAYS
async def test_while_a_json_answer_is_made(narrow: Gateway, worker: FakeWorker, reset: object):
    """Not streaming: nothing is ever written before the end, and still the abort is at once."""
    async with all_given_back(narrow, worker), calling(narrow.port, request(stream=False, itl=1)) as conversation:
        await is_running(worker)
        conversation.leave(reset=bool(reset))
        await answers(narrow)


@WAYS
async def test_while_it_waits_in_the_queue(narrow: Gateway, worker: FakeWorker, reset: object):
    """Its place is given up, the one that runs is not disturbed, the worker never hears of it."""
    requests = worker.counts()["requests"]
    async with all_given_back(narrow, worker), calling(narrow.port, request(ttft=60)) as first:
        await is_running(worker)
        async with calling(narrow.port, request()) as second:
            await eventually(lambda: narrow.metric("enginehouse_queue_depth") == 1, what="a waiting request")
            second.leave(reset=bool(reset))
            await eventually(lambda: narrow.metric("enginehouse_queue_depth") == 0, what="an empty queue")
        assert worker.counts()["requests"] == requests + 1
        first.leave()


async def test_the_next_in_the_queue_gets_the_worker(narrow: Gateway, worker: FakeWorker):
    """A client that leaves makes room at once for the one that waits behind it."""
    async with all_given_back(narrow, worker), calling(narrow.port, request(ttft=60)) as first:
        await is_running(worker)
        async with calling(narrow.port, request(stream=False, tokens=2)) as second:
            await eventually(lambda: narrow.metric("enginehouse_queue_depth") == 1, what="a waiting request")
            first.leave()
            assert (await second.hear()).status == 200


async def test_while_the_gateway_waits_for_a_worker_that_never_answers(gateway: Gateway, worker: FakeWorker):
    """Connected, sent, silence: the connection to the worker is closed with the client's."""
    async with proxying(("127.0.0.1", worker.port)) as proxy:
        proxy.become(Faults(accepting=Accepting.SILENT))
        gateway.publish(model(worker.view(id="silent", url=proxy.url)))
        async with calling(gateway.port, request()) as conversation:
            await eventually(lambda: proxy.links, what="a connection to the worker")
            conversation.leave()
            await eventually(lambda: not proxy.links, what="the end of that connection")
    await eventually(lambda: gateway.metric("enginehouse_inflight_requests") == 0)


async def test_in_the_middle_of_its_own_request(gateway: Gateway, worker: FakeWorker):
    """Half a body and gone: no worker is asked, nothing stays."""
    async with all_given_back(gateway, worker, aborts=0), calling(gateway.port, request()[:-20]) as conversation:
        conversation.leave(reset=True)
        await answers(gateway)


async def test_a_client_that_left_is_logged_as_499(gateway: Gateway, worker: FakeWorker):
    """Its own status in log and metrics: neither a success nor our failure."""
    before = gateway.metric("enginehouse_requests_total", code="499")
    async with calling(gateway.port, request(ttft=60)) as conversation:
        await is_running(worker)
        conversation.leave()
    await eventually(lambda: gateway.metric("enginehouse_requests_total", code="499") == before + 1)
    assert "code=client_gone" in gateway.log


def descriptors(gateway: Gateway) -> int:
    return len(list(Path(f"/proc/{gateway.process.pid}/fd").iterdir()))


async def test_three_hundred_leave_at_random_and_nothing_is_left(gateway: Gateway, worker: FakeWorker):
    """A seeded storm over all phases: leases, sockets and gauges are back at their base, and the gateway serves on."""
    chance = random.Random(int(os.environ.get("SEED", "1")))
    gateway.publish(model(worker.view(capacity=20), queue=QueueLimits(limit=500)))
    await answers(gateway)
    base = descriptors(gateway)
    async with asyncio.TaskGroup() as clients:
        for _ in range(300):
            clients.create_task(_leave_somewhere(gateway, chance.choice((0, 0, 1, 5)), reset=chance.random() < 0.5))
    await eventually(lambda: worker.counts()["running"] == worker.counts()["waiting"] == 0, what="an idle worker")
    await eventually(lambda: gateway.metric("enginehouse_inflight_requests") == 0, what="an empty gateway")
    # The worker may keep a few connections alive for the next request; the gateway closes them when they are idle.
    await eventually(lambda: descriptors(gateway) <= base, what="no descriptor more than before")
    await answers(gateway)
    assert "Traceback" not in gateway.log


async def _leave_somewhere(gateway: Gateway, events: int, *, reset: bool) -> None:
    conversation: Conversation
    async with calling(gateway.port, request(stream=events > 0, itl=0.01)) as conversation:
        if events:
            await conversation.hear(events=events)
        conversation.leave(reset=reset)
