"""Workers on a real Ray cluster: placed on its nodes, placed again when a node dies, gone when nobody wants them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from cli.folders import cache_folder
from engines.environments.environment import ensure
from engines.progress import silent
from registry.snapshot import WorkerView
from tests.stories.house import House, answered, house, registry
from tests.stories.raycluster import Cluster, cluster, command, pids
from tests.waiting import eventually

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]
NODES = ("http://127.0.0.2:", "http://127.0.0.3:")
LONG = 120.0
"""Seconds: a Ray that starts on a busy machine takes its time."""


@pytest.fixture(scope="module")
def ray_python() -> Path:
    """Of the environment `ray`, which is installed if need be."""
    return asyncio.run(ensure("ray", cache_folder(None, os.environ), silent)).python


@pytest.fixture(scope="module")
def head(ray_python: Path) -> Iterator[Cluster]:
    """With room for one worker: a second one has to go to another node."""
    with cluster(ray_python) as made:
        yield made


def engines_of(folder: Path) -> list[int]:
    """The fake engines that belong to this test's house, by its model's name."""
    return [pid for pid in pids() if "engines.fake" in command(pid) and folder.name in command(pid)]


def workers(running: House, name: str) -> list[WorkerView]:
    """All that are ready."""
    model = running.model(name)
    return [each for each in model.workers if each.state == "ready"] if model else []


async def both(running: House, name: str) -> list[WorkerView]:
    def look() -> list[WorkerView]:
        ready = workers(running, name)
        return ready if len(ready) == 2 else []

    return await eventually(look, within=LONG, what=f"two workers; {running.snapshot}; {running.events}")


async def ask(http: httpx.AsyncClient, model: str, statuses: list[int], over: asyncio.Event) -> None:
    """One client, one request after the other."""
    body = {"model": model, "prompt": "x", "x_fake": {"itl": 0.02, "tokens": 5}}
    while not over.is_set():
        statuses.append((await http.post("/v1/completions", json=body)).status_code)


async def test_a_worker_whose_node_died_is_placed_on_another_and_no_request_fails(
    tmp_path: Path, head: Cluster
) -> None:
    name, over, statuses = tmp_path.name, asyncio.Event(), []
    ray = {"address": head.address, "cpus": 1}
    path = registry(tmp_path, **{name: {"launcher": "ray", "ray": ray, "replicas": 2}})
    with head.node("127.0.0.2") as second:
        async with house(path, patient=True) as running, httpx.AsyncClient(base_url=running.url, timeout=LONG) as http:
            before = await both(running, name)
            await answered(running, name)
            async with asyncio.TaskGroup() as load:
                for _ in range(4):
                    load.create_task(ask(http, name, statuses, over))
                with head.node("127.0.0.3"):
                    second.kill()
                    await eventually(lambda: running.said("WorkerLost"), within=LONG, what="the loss")
                    after, many = await both(running, name), len(statuses) + 20
                    await eventually(lambda: len(statuses) > many, within=LONG, what="answers")
                    over.set()
        lost = running.said("WorkerLost")
    assert set(statuses) == {200}
    assert [node in str(before) for node in NODES] == [True, False]
    assert [node in str(after) for node in NODES] == [False, True]
    assert "placed on node 127.0.0.2" in str(lost[0]["tail"])
    assert engines_of(tmp_path) == []


async def test_a_node_that_lacks_the_weights_is_named_and_a_killed_supervisor_leaves_nothing(
    tmp_path: Path, head: Cluster
) -> None:
    name, on_ray = tmp_path.name, {"launcher": "ray", "ray": {"address": head.address, "cpus": 0.5}}
    async with house(registry(tmp_path, **{name: on_ray, "absent": on_ray}), patient=True) as running:
        lost = await eventually(lambda: running.said("WorkerLost"), within=LONG, what="the refusal")
        await running.ready(name, within=LONG)
        assert engines_of(tmp_path) != []
        running.process.kill()
        await running.process.wait()
        await eventually(lambda: not engines_of(tmp_path), within=LONG, what="the engine's end")
    assert "error: weights /nowhere not found on node" in lost[0]["reason"]
