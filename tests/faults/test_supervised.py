"""The same deaths under a real supervisor: rows 1, 5, 6 and 7 of the fault matrix, from the client's side.

What the supervisor itself does is in `tests/stories/test_supervisor.py`.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import httpx

from registry.snapshot import WorkerView
from tests.faults.client import Transcript, ask, get, post
from tests.faults.stage import CHAT, Measure, refused, whole
from tests.processes import free_port
from tests.stories.fakes import fake_worker
from tests.stories.house import House, house, registry
from tests.waiting import PATIENCE, eventually

SHORT = {"first_token": "1500ms", "idle": "1500ms"}
"""Long enough that a healthy worker keeps them on a machine that stalls now and then."""


async def chat(running: House, seed: int = 0, **script: Any) -> Transcript:
    question = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": seed % 2 == 0, "seed": seed}
    return await ask(running.port, post(CHAT, question | ({"x_fake": script} if script else {})))


async def both_ready(running: House) -> None:
    for seat in (0, 1):
        await eventually(lambda seat=seat: running.worker("ready", seat=seat), what="two ready workers")
    await eventually(lambda: _answers(running), what="an answer")


async def script(worker: WorkerView, **behaviour: Any) -> None:
    """From now on it behaves so, whoever asks."""
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as http:
        await http.post(f"{worker.url}/fake/script", json={"set": behaviour})


async def _says_no_worker(running: House) -> bool:
    return refused(await chat(running), 503, "no_worker")


async def _answers(running: House) -> bool:
    return (await chat(running)).status == 200


async def test_a_killed_worker_is_missed_by_nobody_and_comes_back_warm(tmp_path: Path, measured: Measure):
    """Row 1: every request is answered by the other; the new one has made a token before it gets its first request."""
    async with house(registry(tmp_path, m={"replicas": 2})) as running:
        await both_ready(running)
        victim = running.worker(seat=0)
        began = time.perf_counter()
        os.kill(victim.pid, signal.SIGKILL)
        answers = [await chat(running, seed) for seed in range(30)]
        assert [seed for seed, heard in enumerate(answers) if not whole(heard, seed=seed)] == []
        await eventually(lambda: running.worker(seat=0).state != "ready" or running.worker(seat=0).id != victim.id)
        measured("1", "SIGKILL of an idle worker to its ejection, 30 requests in between", time.perf_counter() - began)
        fresh = await running.ready(not_id=victim.id)
        measured("1", "SIGKILL of an idle worker to its ready successor", time.perf_counter() - began)
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as client:
            assert (await client.get(f"{fresh.url}/fake/counts")).json()["finished"] >= 1


async def test_a_model_without_workers_says_so_and_recovers_unaided(tmp_path: Path, measured: Measure):
    """Row 5: 503 `no_worker` with `Retry-After`, the model stays listed, `/livez` stays 200; then 200 again."""
    async with house(registry(tmp_path, m={})) as running:
        worker = await running.ready()
        await eventually(lambda: _answers(running), what="an answer")
        port = int(running.url.rpartition(":")[2])
        began = time.perf_counter()
        os.kill(worker.pid, signal.SIGKILL)
        # Who was sent to the worker while it died hears 502; who comes after, 503.
        await eventually(lambda: _says_no_worker(running), what="a 503")
        listed = (await ask(port, get("/v1/models"))).json()["data"]
        assert [each["id"] for each in listed] == ["m"]
        assert (await ask(port, get("/livez"))).status == 200
        await eventually(lambda: _answers(running), what="an answer")
        measured("5", "SIGKILL of the only worker to the next answer", time.perf_counter() - began)


async def test_a_stopped_worker_is_avoided_and_replaced(tmp_path: Path, measured: Measure):
    """Row 6: nobody is failed; within two probes (here 2 s each) it is out of the snapshot."""
    async with house(registry(tmp_path, m={"replicas": 2, "timeouts": SHORT})) as running:
        await both_ready(running)
        victim = running.worker(seat=0)
        began = time.perf_counter()
        os.kill(victim.pid, signal.SIGSTOP)
        answers = [await chat(running, 2 * seed) for seed in range(10)]
        assert [seed for seed, heard in enumerate(answers) if not whole(heard, seed=2 * seed)] == []
        await eventually(lambda: running.worker("ready", seat=0) is None, what="a worker that is out")
        measured("6", "SIGSTOP of an idle worker to its ejection, 10 requests in between", time.perf_counter() - began)
        await running.ready(not_id=victim.id)
        assert whole(await chat(running))


async def test_a_generation_that_hangs_has_its_worker_replaced(tmp_path: Path, measured: Measure):
    """Row 7: healthy, but no counter moves for twice the idle limit. The client hears 504, its successor an answer."""
    async with house(registry(tmp_path, m={"timeouts": SHORT})) as running:
        victim = await running.ready()
        await eventually(lambda: _answers(running), what="an answer")
        began = time.perf_counter()
        await script(victim, hang_at=0)
        heard = await chat(running, hang_at=3, ignore_disconnect=True)
        fresh = await running.ready(not_id=victim.id)
        measured("7", "a hanging generation to its worker's ready successor", time.perf_counter() - began)
        assert ([error["code"] for error in heard.errors], fresh.restarts) == (["idle_timeout"], 1)
        await eventually(lambda: _answers(running), what="an answer")
        assert whole(await chat(running))
    assert "ended, as it was dead: it hangs: no progress for 3 s" in running.said("WorkerLost")[0]["reason"]


async def test_a_hang_before_the_first_token_is_seen_although_no_request_is_counted(tmp_path: Path):
    """Row 7: an engine counts a request after its first step. A client that waited in vain makes us ask ourselves."""
    async with house(registry(tmp_path, m={"timeouts": SHORT})) as running:
        victim = await running.ready()
        await eventually(lambda: _answers(running), what="an answer")
        await script(victim, silent=True)
        assert refused(await chat(running), 504, "first_token_timeout")
        assert (await running.ready(not_id=victim.id)).restarts == 1
        await eventually(lambda: _answers(running), what="an answer")
        assert whole(await chat(running))


async def test_a_worker_of_somebody_else_that_hangs_is_avoided_until_it_moves_again(tmp_path: Path):
    """Row 7: not ours to end."""
    port = free_port()
    external = {"launcher": "external", "urls": [f"http://127.0.0.1:{port}"], "timeouts": SHORT}
    async with house(registry(tmp_path, m=external)) as running, fake_worker(port, "--served-name", "m") as fake:
        worker = await running.ready()
        await eventually(lambda: _answers(running), what="an answer")
        await script(worker, silent=True)
        assert refused(await chat(running), 504, "first_token_timeout")
        await eventually(lambda: running.worker("unhealthy"), what="a worker that is avoided")
        assert running.worker().reason.startswith("it hangs: no progress for 3 s")
        await fake.post("/fake/script", json={"reset": True})
        assert (await running.ready()).id == worker.id


async def test_what_only_takes_long_is_no_hang(tmp_path: Path):
    """Row 7: a prompt that is read for thrice the idle limit, and an answer in JSON that takes as long."""
    async with house(registry(tmp_path, m={"timeouts": SHORT | {"first_token": "60s"}})) as running:
        worker = await running.ready()
        await eventually(lambda: _answers(running), what="an answer")
        prefill, json = await chat(running, ttft=5), await chat(running, seed=1, itl=0.32)
        assert (prefill.status, prefill.done, json.status) == (200, 1, 200)
        assert running.worker("ready").id == worker.id
    assert running.said("WorkerLost") == []
