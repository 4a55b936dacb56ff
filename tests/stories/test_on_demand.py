"""Models that are loaded when somebody asks for them, and leave when nobody does: real processes, fake engines."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import httpx

from registry.snapshot import WorkerView
from tests.faults.client import calling, post
from tests.faults.stage import CHAT
from tests.stories.house import House, alive, caught_up, house, known, registry
from tests.unit.engines.memory.models import write
from tests.waiting import eventually

PATIENT = 60.0
FOREVER = {"replicas": {"min": 0, "idle_after": "1h"}}
BRIEFLY = {"replicas": {"min": 0, "idle_after": "2s"}}
SLEEPING = {"replicas": {"min": 0, "idle_after": "1s", "when_idle": "sleep"}}
ASKED = {"model": "m", "messages": [{"role": "user", "content": "x"}], "max_tokens": 3}


def slow(seconds: float) -> dict[str, Any]:
    """A model that loads for so long."""
    return FOREVER | {"options": {"vllm": {"ready_after": seconds}}}


async def ask(running: House, model: str = "m", **headers: str) -> httpx.Response:
    """One JSON request, as soon as there is a gateway that knows the model."""
    await known(running, model)
    async with httpx.AsyncClient(base_url=running.url, trust_env=False, timeout=PATIENT) as http:
        return await http.post(CHAT, json=ASKED | {"model": model}, headers=headers)


async def answers(running: House) -> bool:
    """Whether one who does not wait is answered."""
    return (await ask(running, prefer="wait=0")).status_code == 200


def started(running: House) -> int | None:
    """The pid of a worker that is starting."""
    worker = running.worker("starting")
    return worker.pid if worker else None


def asleep(running: House, before: str) -> WorkerView | None:
    """The worker that sleeps, if it has been awake since it had this id."""
    worker = running.worker("sleeping")
    return worker if worker and worker.id != before else None


async def gone(running: House, pid: int, model: str = "m") -> None:
    """Waits until the process has ended and the model is as it was before the first request."""
    await eventually(lambda: not alive(pid), within=PATIENT, what=f"the end of {pid}")
    await eventually(lambda: running.model(model).workers == (), within=PATIENT)
    await caught_up(running)
    assert running.model(model).loading is None


async def test_a_request_loads_the_model_and_idleness_unloads_it(tmp_path: Path) -> None:
    """Nothing runs before, and still the house is ready; JSON waits; nothing is left after, and it comes again."""
    async with house(registry(tmp_path, m=BRIEFLY)) as running:
        await known(running, "m")
        assert (running.model().workers, running.model().loading) == ((), None)
        async with httpx.AsyncClient(base_url=running.url, trust_env=False, timeout=PATIENT) as http:
            assert (await http.get("/readyz")).status_code == 200
            assert [each["id"] for each in (await http.get("/v1/models")).json()["data"]] == ["m"]
        assert (await ask(running)).status_code == 200
        first = await running.ready(within=PATIENT)
        await gone(running, first.pid)
        told = await ask(running, prefer="wait=0")
        assert (told.status_code, told.json()["error"]["code"]) == (503, "model_loading")
        assert int(told.headers["retry-after"]) > 0
        # As told, it comes again: a model that nobody waits for is not loaded to the end on a slow machine.
        await eventually(lambda: answers(running), within=PATIENT, what="an answer")
        assert (await running.ready(within=PATIENT)).id != first.id
    assert running.said("WorkerLost") == []


async def test_a_cold_stream_gets_comments_and_then_the_whole_answer(tmp_path: Path) -> None:
    """Beside it, a client left while it waited: nothing of it is left on the worker."""
    async with house(registry(tmp_path, m=slow(3.0))) as running:
        await known(running, "m")
        asked = post(CHAT, ASKED | {"stream": True})
        async with calling(running.port, asked) as stream:
            async with calling(running.port, asked):
                await eventually(lambda: running.worker("starting"), within=PATIENT)
            heard = await stream.hear()
        worker = await running.ready(within=PATIENT)
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENT) as http:
            counts = (await http.get(f"{worker.url}/fake/counts")).json()
    assert (heard.status, heard.done, heard.end, counts["running"]) == (200, 1, "complete", 0)
    assert heard.body.startswith(b": starting the worker")


async def test_two_models_share_the_memory_for_one(tmp_path: Path) -> None:
    """The idle one makes room; the one that waits is not forgotten; each answers in its turn."""
    write(tmp_path / "weights", a=("BF16", [1000], 2000))
    (tmp_path / "crowded").touch()
    fields = FOREVER | {"context": 64}
    async with house(registry(tmp_path, a=fields, b=fields)) as running:
        assert (await ask(running, "a")).status_code == 200
        first = await running.ready("a", within=PATIENT)
        assert (await ask(running, "b")).status_code == 200
        await gone(running, first.pid, "a")
        both = await asyncio.gather(ask(running, "a"), ask(running, "b"))
        assert [each.status_code for each in both] == [200, 200]
    assert running.said("ModelFailed") == []


async def test_what_crashes_while_it_loads_is_waited_for_until_it_is_hopeless(tmp_path: Path) -> None:
    """Once is bad luck; five times, or a preparation that fails, and the clients who wait are told."""
    broken = FOREVER | {"options": {"vllm": {"crash_at_start": 3}}}
    async with house(registry(tmp_path, m=slow(1.5), broken=broken, unpreparable=FOREVER)) as running:
        await eventually(running.model, within=PATIENT)
        async with asyncio.TaskGroup() as group:
            waiting, crashed, unprepared = (
                group.create_task(ask(running, name)) for name in ("m", "broken", "unpreparable")
            )
            os.kill(await eventually(lambda: started(running), within=PATIENT), signal.SIGKILL)
        assert (await running.ready(within=PATIENT)).restarts == 1
    assert waiting.result().status_code == 200
    refused = [(each.result().status_code, each.result().json()["error"]["code"]) for each in (crashed, unprepared)]
    assert refused == [(503, "no_worker"), (503, "model_loading")]


async def test_after_a_restart_of_the_supervisor_the_model_is_cold_again(tmp_path: Path) -> None:
    path = registry(tmp_path, m=FOREVER)
    async with house(path) as running:
        assert (await ask(running)).status_code == 200
        pid = (await running.ready(within=PATIENT)).pid
        running.process.kill()
        await running.process.wait()
        await eventually(lambda: not alive(pid), within=PATIENT)
    async with house(path) as again:
        await eventually(again.model, within=PATIENT)
        assert again.model().workers == ()
        assert (await ask(again)).status_code == 200


async def test_an_idle_model_sleeps_and_the_next_request_wakes_it(tmp_path: Path) -> None:
    """The process is the same, its id is another one; a stream that wakes it is answered whole, and no gateway is sent
    to a worker that sleeps. One that dies in its sleep is not started again before somebody asks.
    """
    async with house(registry(tmp_path, m=SLEEPING)) as running:
        assert (await ask(running)).status_code == 200
        first = await eventually(lambda: running.worker("sleeping"), within=PATIENT)
        await caught_up(running)
        async with calling(running.port, post(CHAT, ASKED | {"stream": True})) as stream:
            heard = await stream.hear()
        assert (heard.status, heard.done, heard.end) == (200, 1, "complete")
        again = await eventually(lambda: asleep(running, first.id), within=PATIENT)
        assert (again.pid, again.restarts) == (first.pid, 0)
        os.kill(again.pid, signal.SIGKILL)
        await gone(running, again.pid)
        lost = await eventually(lambda: running.said("WorkerLost"), within=PATIENT)
        assert [each["slept"] for each in lost] == [True]
        assert (await ask(running)).status_code == 200
        assert (await eventually(lambda: running.worker("sleeping"), within=PATIENT)).pid != first.pid
    assert running.said("ModelFailed") == []
