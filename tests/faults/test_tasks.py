"""No task, lease or socket is left in the gateway: asked from inside, with the gateway in the test's own loop."""

from __future__ import annotations

import asyncio
import random
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from engines import ENGINES
from gateway.app import build
from gateway.server import Server, configure
from gateway.settings import Settings
from registry.snapshot import QueueLimits
from tests.faults.client import ask, calling, get
from tests.faults.stage import SEED, in_turns, request, whole
from tests.processes import FakeWorker, Supervisor, model
from tests.waiting import eventually


@asynccontextmanager
async def inside(folder: Path, worker: FakeWorker, *, portable: bool) -> AsyncIterator[int]:
    """A gateway in this very loop, in front of `worker`; its port."""
    supervisor = Supervisor(folder / "control.sock")
    supervisor.publish(model(worker.view(capacity=10), queue=QueueLimits(limit=500)))
    app, shortcut = build(
        Settings(), supervisor.path, ENGINES, clock=time.monotonic, wall_clock=time.monotonic,
        stopping=lambda: False, abandoned=lambda: None, log=lambda _: None,
    )  # fmt: skip
    server = Server(configure(app, None if portable else shortcut, 1.0))
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    port: int = listener.getsockname()[1]
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve(sockets=[listener]))
            await eventually(lambda: server.started, what="the gateway")
            yield port
            server.stop()
    finally:
        supervisor.close()


async def leave_somewhere(port: int, seed: int) -> None:
    """A few of everything: streams, JSON, queued, half a request, and some that stay to the end."""
    chance = random.Random(SEED * 1000 + seed)
    stream = chance.random() < 0.7
    wire = request(stream=stream, seed=seed, tokens=chance.choice((5, 500)), itl=0.001)
    async with calling(port, wire[: chance.choice((len(wire), len(wire), 100))]) as conversation:
        async with asyncio.TaskGroup() as group:
            hearing = group.create_task(conversation.hear(events=chance.randrange(1, 20)))
            await asyncio.wait([hearing], timeout=0.2 * chance.random())
            hearing.cancel()
        conversation.leave(reset=chance.random() < 0.5)


@pytest.mark.parametrize("portable", [False, True], ids=["wire", "portable"])
async def test_no_task_is_left_of_those_who_left(worker: FakeWorker, state_folder: Path, portable: object):
    """After 400 clients that left at random there are as many tasks as before the first, and every gauge is at zero."""
    async with inside(state_folder, worker, portable=bool(portable)) as port:
        assert whole(await ask(port, request(seed=1)), seed=1)
        base = len(asyncio.all_tasks())
        await in_turns(400, 40, lambda seed: leave_somewhere(port, seed))
        await eventually(lambda: len(asyncio.all_tasks()) <= base, what="no task more than before")
        figures = (await ask(port, get("/metrics"))).body.decode()
        assert 'enginehouse_inflight_requests{model="small"} 0.0' in figures
        assert 'enginehouse_queue_depth{model="small"} 0.0' in figures
        assert whole(await ask(port, request(seed=2)), seed=2)
