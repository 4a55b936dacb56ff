"""A worker that is there and says nothing: rows 6, 7, 8 and 9 of the fault matrix.

Stopped by SIGSTOP, hung in its generation, cut off without a FIN, or accepting and never answering: for the gateway
they are one case, told by its limits for the first token and between tokens. The limits here are short ones.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from registry.snapshot import Timeouts
from tests.faults.client import ask, calling
from tests.faults.proxy import Accepting, Faults, Way, proxying
from tests.faults.stage import Measure, Pair, broken_off, descriptors, refused, request, timed, whole
from tests.processes import FakeWorker, model
from tests.waiting import eventually

SHORT = Timeouts(first_token=2.0, idle=2.0, answer=4.0)
"""Seconds; long enough that a healthy worker keeps them on a machine that stalls now and then."""


@contextmanager
def stopped(worker: FakeWorker) -> Iterator[None]:
    """SIGSTOP: the kernel still accepts connections for it."""
    worker.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        worker.process.send_signal(signal.SIGCONT)


async def test_a_worker_stopped_in_mid_stream_is_told_at_the_limit(pair: Pair, measured: Measure):
    """Row 6: one error event `idle_timeout`; after SIGCONT no late chunk reaches anyone, and the worker is idle."""
    pair.gateway.publish(model(pair.first, timeouts=SHORT))
    async with calling(pair.port, request(itl=0.02, tokens=1000, seed=3)) as stream:
        await stream.hear(events=5)
        with stopped(pair.first), timed(measured, "6", "error event after SIGSTOP (limit 2 s)"):
            heard = await stream.hear()
        assert broken_off(heard, "idle_timeout", seed=3)
        received = len(heard.body)
        await eventually(lambda: pair.first.counts()["running"] == 0, what="an idle worker after SIGCONT")
        assert len((await stream.hear()).body) == received
    assert whole(await ask(pair.port, request()))


async def test_a_stopped_idle_worker_costs_a_retry_and_no_answer(pair: Pair, measured: Measure):
    """Row 6: streams are answered by the other worker after the first-token limit; then it is left alone."""
    pair.publish(timeouts=SHORT)
    with stopped(pair.first):
        with timed(measured, "6", "20 streams in turn past a stopped worker (limit 2 s)"):
            answers = [await ask(pair.port, request(seed=seed)) for seed in range(20)]
        assert [seed for seed, heard in enumerate(answers) if not whole(heard, seed=seed)] == []
        with timed(measured, "6", "the same once its breaker is open"):
            assert whole(await ask(pair.port, request()))


async def test_what_the_stopped_worker_was_asked_is_aborted(pair: Pair):
    """Row 6: after SIGCONT it finds the requests of those who went elsewhere, and nobody there to answer."""
    pair.publish(timeouts=SHORT)
    before = pair.first.counts()
    with stopped(pair.first):
        for seed in range(4):
            assert whole(await ask(pair.port, request(seed=seed, ttft=0.01)), seed=seed)
    await eventually(lambda: pair.first.counts()["running"] == 0, what="an idle worker after SIGCONT")
    assert pair.first.counts()["after_leave"] == before["after_leave"]


HANGS: dict[str, dict[str, Any]] = {"before the first token": {"ttft": 60}, "silent": {"silent": True}}


@pytest.mark.parametrize("script", HANGS.values(), ids=HANGS.keys())
async def test_a_generation_that_hangs_is_retried_once(pair: Pair, script: dict[str, Any], measured: Measure):
    """Row 7: `/health` says 200 all the while. A stream without a first token goes elsewhere, where it is answered."""
    pair.first.script(**script)
    pair.publish(timeouts=SHORT)
    with timed(measured, "7", "6 streams in turn past a hung generation (limit 2 s)"):
        for seed in range(6):
            assert whole(await ask(pair.port, request(seed=seed)), seed=seed)
    assert pair.first.client.get("/health").status_code == 200
    assert any(each.get("worker") == pair.first.view().id for each in pair.gateway.supervisor.heard)


async def test_a_json_answer_that_never_comes_is_a_504(pair: Pair, measured: Measure):
    """Row 7: its limit is on the whole answer, so there is no time left to try another."""
    for worker in (pair.first, pair.second):
        worker.script(hang_at=3)
    pair.publish(timeouts=SHORT)
    before = pair.calls
    with timed(measured, "7", "504 answer_timeout (limit 4 s)"):
        assert refused(await ask(pair.port, request(stream=False)), 504, "answer_timeout")
    assert pair.calls == before + 1
    await eventually(lambda: pair.first.counts()["running"] + pair.second.counts()["running"] == 0, what="idle workers")


async def test_a_generation_that_hangs_after_its_first_token_is_told(pair: Pair):
    """Row 7: something was sent, so nobody else may try."""
    pair.first.script(hang_at=3)
    pair.gateway.publish(model(pair.first, timeouts=SHORT))
    assert broken_off(await ask(pair.port, request(seed=5)), "idle_timeout", seed=5)


async def test_a_host_that_is_gone_without_a_fin_costs_no_socket(pair: Pair, measured: Measure):
    """Row 8, with a proxy that stops passing anything on: the stream is told, its socket is closed by our side."""
    async with proxying(("127.0.0.1", pair.first.port)) as proxy:
        pair.gateway.publish(model(pair.first.view(id="far", url=proxy.url), timeouts=SHORT))
        base = descriptors(pair.gateway)
        async with calling(pair.port, request(itl=0.02, tokens=1000)) as stream:
            await stream.hear(events=3)
            began = time.perf_counter()
            proxy.become(Faults(to_client=Way(stalled=True), to_worker=Way(stalled=True)))
            assert broken_off(await stream.hear(), "idle_timeout")
        await eventually(lambda: descriptors(pair.gateway) <= base, what="no socket more than before")
        measured("8", "error event and socket freed (limit 2 s)", time.perf_counter() - began)
    await eventually(lambda: pair.first.counts()["running"] == 0, what="an idle worker")


async def test_accept_and_never_answer_is_one_retry(pair: Pair, measured: Measure):
    """Row 9: with another worker the client sees nothing of it."""
    async with proxying(("127.0.0.1", pair.first.port)) as proxy:
        proxy.become(Faults(accepting=Accepting.SILENT))
        silent = pair.first.view(id="silent", url=proxy.url)
        pair.gateway.publish(model(silent, pair.second, timeouts=SHORT))
        before = pair.second.counts()["requests"]
        with timed(measured, "9", "answered by the other worker (limit 2 s)"):
            assert whole(await ask(pair.port, request(seed=9, request_id="row9-one")), seed=9)
        await eventually(lambda: "id=row9-one" in pair.gateway.log, what="its log line")
    line = next(line for line in pair.gateway.log.splitlines() if "id=row9-one" in line)
    assert "attempts=2" in line
    assert pair.second.counts()["requests"] == before + 1


async def test_two_that_never_answer_are_a_504_and_a_third_is_not_asked(pair: Pair, measured: Measure):
    """Row 9: a first-token timeout is retried once, not twice: whoever waits has waited long enough."""
    async with proxying(("127.0.0.1", pair.first.port)) as proxy:
        proxy.become(Faults(accepting=Accepting.SILENT))
        silent = [pair.first.view(id=f"silent-{number}", url=proxy.url) for number in range(3)]
        pair.gateway.publish(model(*silent, timeouts=SHORT))
        with timed(measured, "9", "504 after two silent workers (limit 2 s each)"):
            assert refused(await ask(pair.port, request()), 504, "first_token_timeout")
        assert proxy.accepted == 2
        await eventually(lambda: not proxy.links, what="the end of both connections")
    assert pair.gateway.metric("enginehouse_inflight_requests") == 0
