"""A gateway is asked to stop: what runs may end, what does not end is told so, nothing waits longer than it must."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests import processes
from tests.faults.client import End, calling, post
from tests.faults.verify import inspect, inspect_part, text_of
from tests.processes import FakeWorker, Gateway, model
from tests.waiting import eventually

CHAT = "/v1/chat/completions"


def request(*, stream: bool = True, **script: Any) -> bytes:
    ask_for = {"model": "small", "messages": [{"role": "user", "content": "hi"}], "stream": stream}
    return post(CHAT, ask_for | {"x_fake": script})


@pytest.fixture
def patient(worker: FakeWorker) -> Iterator[Gateway]:
    """A gateway of one's own that waits longer than any machine takes."""
    with processes.short_folder() as folder, processes.gateway(folder, "--drain", "60") as started:
        started.publish(model(worker))
        yield started


@pytest.fixture
def leaving(worker: FakeWorker) -> Iterator[Gateway]:
    """A gateway of one's own, with a drain limit of five seconds."""
    with processes.short_folder() as folder, processes.gateway(folder, "--drain", "5") as started:
        started.publish(model(worker))
        yield started


async def ended(gateway: Gateway) -> int:
    """The exit status, once there is one."""
    await eventually(lambda: gateway.process.poll() is not None, what="the end of the gateway")
    return gateway.process.returncode


async def test_streams_and_answers_that_end_in_time_are_whole(patient: Gateway, worker: FakeWorker):
    """SIGTERM in the middle of both: nothing is lost, the status is 0."""
    slow = request(tokens=20, itl=0.2)
    json = request(stream=False, tokens=20, itl=0.2)
    async with calling(patient.port, slow) as stream, calling(patient.port, json) as whole:
        await stream.hear(events=2)
        await eventually(lambda: worker.counts()["running"] == 2, what="two running requests")
        patient.process.send_signal(signal.SIGTERM)
        heard = await stream.hear()
        assert (heard.done, heard.errors) == (1, [])
        assert inspect(text_of(heard.events), 20).clean
        assert (await whole.hear()).status == 200
    assert await ended(patient) == 0


async def test_a_stream_that_outlives_the_drain_is_told_so(leaving: Gateway):
    """One error event `shutting_down` after what had come, no [DONE]; the worker is aborted; the status is 0."""
    async with calling(leaving.port, request(hang_at=3)) as stream:
        await stream.hear(events=4)
        leaving.process.send_signal(signal.SIGTERM)
        heard = await stream.hear()
    assert [error["code"] for error in heard.errors] == ["shutting_down"]
    assert (heard.done, heard.half) == (0, "")
    assert inspect_part(text_of(heard.events)).clean
    assert await ended(leaving) == 0


async def test_a_second_sigterm_means_now(leaving: Gateway, worker: FakeWorker):
    """Nobody waits for the drain limit of a gateway that is told twice; its worker is free again."""
    async with calling(leaving.port, request(hang_at=3)) as stream:
        await stream.hear(events=4)
        leaving.process.send_signal(signal.SIGTERM)
        leaving.process.send_signal(signal.SIGTERM)
        assert (await stream.hear()).end in {End.CUT, End.RESET, End.COMPLETE}
        assert stream.transcript.done == 0
    await ended(leaving)
    await eventually(lambda: worker.counts()["running"] == 0, what="an idle worker")


async def test_a_gateway_without_its_supervisor_drains_and_leaves(patient: Gateway):
    """The end of the control channel is the supervisor's end: what runs may end, then the process does."""
    async with calling(patient.port, request(tokens=20, itl=0.02)) as stream:
        await stream.hear(events=2)
        patient.supervisor.close()
        assert (await stream.hear()).done == 1
    assert await ended(patient) == 0
