"""A worker's process dies: rows 1, 2, 4 and 5 of the fault matrix, as the gateway lives through them.

What the supervisor does about it is in `tests/stories/test_supervisor.py`; here the snapshots are published by the
test, later than a real supervisor would, so that the gateway has to cope alone.
"""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.faults.client import ask as ask_for
from tests.faults.client import calling, get
from tests.faults.stage import Measure, Pair, asked, broken_off, meanwhile, refused, request, timed, whole
from tests.processes import FakeWorker, model
from tests.waiting import eventually

MANY = 100


def attempts(pair: Pair, name: str, count: int) -> int:
    """How many requests with ids that begin with `name` needed so many workers, by the access log."""
    lines = (line for line in pair.gateway.log.splitlines() if f"id={name}" in line)
    return sum(f"attempts={count}" in line for line in lines)


async def test_a_worker_killed_while_idle_is_missed_by_nobody(pair: Pair, doomed: FakeWorker, measured: Measure):
    """Row 1: the next requests are answered by the other one; after three failures nobody is sent there any more."""
    pair.gateway.publish(model(doomed, pair.second))
    assert whole(await ask_for(pair.port, request()))
    doomed.kill()
    with timed(measured, "1", "the next request after SIGKILL of an idle worker"):
        assert whole(await ask_for(pair.port, request(seed=7)), seed=7)
    for seed in range(20):
        assert whole(await ask_for(pair.port, request(seed=seed, request_id=f"idle-{seed}")), seed=seed)
    await eventually(lambda: attempts(pair, "idle", 1) + attempts(pair, "idle", 2) == 20, what="20 log lines")
    assert attempts(pair, "idle", 2) <= 2  # with the first one: three failures, and the breaker is open


async def test_the_supervisor_is_told_of_a_dead_worker(pair: Pair, doomed: FakeWorker, measured: Measure):
    """Row 1: `suspect` goes out with the first failure, so that nobody waits for the next probe."""
    pair.gateway.publish(model(doomed, pair.second))
    doomed.kill()
    began = time.perf_counter()
    assert whole(await ask_for(pair.port, request()))
    suspects = pair.gateway.supervisor.heard
    await eventually(lambda: any(each.get("worker") == doomed.view().id for each in suspects), what="a suspect")
    measured("1", "the supervisor is told", time.perf_counter() - began)


@pytest.mark.parametrize("stream", [True, False], ids=["streams", "json"])
async def test_a_hundred_without_a_first_token_are_all_answered(
    pair: Pair, doomed: FakeWorker, measured: Measure, stream: object
):
    """Row 2: none is lost, each is sent twice at most, and the retry budget is a fifth of what is open."""
    name = f"row2-{stream}-"
    doomed.script(ttft=60)
    pair.second.script(ttft=0.3)
    before = pair.second.counts()["requests"]
    pair.gateway.publish(model(doomed))
    wires = [request(stream=bool(stream), seed=seed, request_id=f"{name}{seed}") for seed in range(MANY)]
    async with meanwhile(asked(pair, wires)) as answers:
        await eventually(lambda: doomed.counts()["running"] == MANY, what="a hundred running requests")
        pair.gateway.publish(model(doomed, pair.second))
        doomed.kill()
        with timed(measured, "2", f"100 {'streams' if stream else 'JSON'} retried, first token after 300 ms"):
            most = await _most_at_once(pair.second, answers)
    lost = [seed for seed, heard in enumerate(answers.result()) if not whole(heard, seed=seed)]
    assert lost == []
    assert pair.second.counts()["requests"] == before + MANY
    await eventually(lambda: attempts(pair, name, 2) == MANY, what="a hundred log lines")
    assert 10 < most <= MANY // 5


async def _most_at_once(worker: FakeWorker, until: asyncio.Task) -> int:
    """Of those without a first token: whoever has one has left the budget, however long its other words take."""
    most = 0
    while not until.done():
        most = max(most, worker.counts()["prefilling"])
        await asyncio.sleep(0.02)
    return most


async def test_a_stream_that_cannot_be_resumed_ends_with_one_error(pair: Pair, doomed: FakeWorker, measured: Measure):
    """Row 4: what had come, one error event, no `[DONE]`; JSON requests beside it are answered by the other worker."""
    doomed.script(itl=0.05, tokens=200)
    pair.gateway.publish(model(doomed))
    streams = [request(seed=seed) for seed in range(20)]
    wholes = [request(stream=False, seed=seed) for seed in range(20)]
    async with meanwhile(asked(pair, streams)) as told, meanwhile(asked(pair, wholes)) as answered:
        await eventually(lambda: doomed.counts()["running"] == 40, what="forty running requests")
        await eventually(lambda: doomed.counts()["generation_tokens"] > 120, what="tokens of each")
        pair.gateway.publish(model(doomed, pair.second))
        doomed.kill()
        with timed(measured, "4", "20 error events and 20 JSON retries"):
            await asyncio.wait([told, answered])
    assert [
        heard for seed, heard in enumerate(told.result()) if not broken_off(heard, "worker_failed", seed=seed)
    ] == []
    assert [heard for seed, heard in enumerate(answered.result()) if not whole(heard, seed=seed)] == []


async def test_all_workers_down_is_said_at_once(pair: Pair, doomed: FakeWorker, measured: Measure):
    """Row 5: 503 `no_worker` with `Retry-After`; the models stay listed, `/livez` stays 200."""
    pair.gateway.publish(model(doomed))
    doomed.kill()
    for stream in (True, False):
        with timed(measured, "5", f"503 when the only worker is dead ({'stream' if stream else 'JSON'})"):
            heard = await ask_for(pair.port, request(stream=stream))
        assert refused(heard, 503, "no_worker")
    listed = (await ask_for(pair.port, get("/v1/models"))).json()["data"]
    assert [each["id"] for each in listed] == ["small", "default"]
    assert (await ask_for(pair.port, get("/livez"))).status == 200


async def test_a_pool_without_workers_is_not_ready_and_recovers_unaided(pair: Pair, measured: Measure):
    """Row 5: `/readyz` follows the snapshot; the first request after the worker's return is answered."""
    pair.gateway.publish(model())
    assert (await ask_for(pair.port, get("/readyz"))).status == 503
    with timed(measured, "5", "503 when the snapshot knows of no worker"):
        assert refused(await ask_for(pair.port, request()), 503, "no_worker")
    pair.publish()
    assert (await ask_for(pair.port, get("/readyz"))).status == 200
    assert whole(await ask_for(pair.port, request()))


async def test_a_dead_worker_that_comes_back_at_its_place_is_used(pair: Pair, doomed: FakeWorker):
    """Row 5: the last worker is never left alone, however often it failed: nobody waits for a breaker."""
    pair.gateway.publish(model(doomed.view(url="http://127.0.0.1:1", id="back")))
    for _ in range(5):
        assert refused(await ask_for(pair.port, request()), 503, "no_worker")
    pair.gateway.publish(model(doomed.view(id="back")))
    assert whole(await ask_for(pair.port, request()))


async def test_a_client_that_leaves_while_its_retry_waits_takes_no_budget(pair: Pair, doomed: FakeWorker):
    """Row 14, during a retry: those that stay are answered, those that left are sent nowhere."""
    doomed.script(ttft=60)
    pair.second.script(ttft=0.2)
    pair.gateway.publish(model(doomed))
    before = pair.second.counts()["requests"]
    leavers = [calling(pair.port, request()) for _ in range(20)]
    async with meanwhile(asked(pair, [request(seed=seed) for seed in range(20)])) as answers:
        conversations = [await each.__aenter__() for each in leavers]
        await eventually(lambda: doomed.counts()["running"] == 40, what="forty running requests")
        pair.gateway.publish(model(doomed, pair.second))
        doomed.kill()
        await eventually(lambda: pair.second.counts()["requests"] > before, what="a retry")
        for conversation in conversations:
            conversation.leave(reset=True)
        for each in leavers:
            await each.__aexit__(None, None, None)
    assert [heard for seed, heard in enumerate(answers.result()) if not whole(heard, seed=seed)] == []
    assert pair.second.counts()["requests"] <= before + 40
    await eventually(lambda: pair.gateway.metric("enginehouse_inflight_requests") == 0, what="an empty gateway")
