"""Workers come and go while the others serve: real processes, fake engines."""

from __future__ import annotations

import json
import signal
from contextlib import AsyncExitStack
from pathlib import Path

from tests.faults.client import calling, post
from tests.faults.stage import CHAT, whole
from tests.processes import free_port
from tests.stories.fakes import fake_worker
from tests.stories.house import House, alive, answered, house, known, registry
from tests.stories.load import LONG, loaded
from tests.waiting import eventually


async def serving(running: House, count: int) -> None:
    """Until so many workers are ready and nobody leaves."""

    def look() -> bool:
        states = [each.state for each in running.model().workers]
        return states == ["ready"] * count and not running.snapshot.leaving

    await eventually(look, within=LONG, what=f"{count} workers; {running.events[-5:]}")


async def test_a_pool_grows_and_shrinks_under_load_without_a_restart(tmp_path: Path) -> None:
    """No request fails or is cut; who stays is the same process; long streams on those that go end first."""
    turns = {"balance": "round_robin"}
    body = {"model": "m", "messages": [], "stream": True, "seed": 1, "x_fake": {"tokens": 80, "itl": 0.1}}
    async with house(registry(tmp_path, m=turns)) as running, AsyncExitStack() as streams:
        first = await running.ready(within=LONG)
        await answered(running, "m")
        async with loaded(running) as load:
            registry(tmp_path, m=turns | {"replicas": 2})
            await serving(running, 2)
            await load.more()
        last = running.model().workers[1]
        opened = [await streams.enter_async_context(calling(running.port, post(CHAT, body))) for _ in range(2)]
        for stream in opened:
            await stream.hear(events=2)
        async with loaded(running) as later:
            registry(tmp_path, m=turns)
            running.process.send_signal(signal.SIGHUP)
            await eventually(lambda: len(running.snapshot.leaving) == 1, within=LONG)
            assert alive(last.pid)
            assert [whole(await stream.hear(), 80, seed=1) for stream in opened] == [True] * 2
            await serving(running, 1)
            await later.more()
        assert not alive(last.pid)
    assert ([str(each.body[-500:]) for each in load.bad + later.bad], running.worker().id) == ([], first.id)
    assert [len(running.said(event)) for event in ("Swapping", "WorkerLost", "CutShort", "ModelFailed")] == [0, 0, 0, 0]


async def test_addresses_come_and_go_with_their_name(tmp_path: Path) -> None:
    """No request fails or is cut; without an answer from the resolver what it said last is kept, and told."""

    def resolved(*addresses: str, name: str = "w.test") -> None:
        (tmp_path / "hosts.new").write_text(json.dumps({name: addresses}))
        (tmp_path / "hosts.new").replace(tmp_path / "hosts.json")

    port = free_port()
    fields = {"launcher": "external", "urls": [f"dns://w.test:{port}"], "external": {"resolve_every": "200ms"}}
    one, two = f"http://127.0.0.1:{port}", f"http://127.0.0.2:{port}"
    resolved("127.0.0.1")
    async with fake_worker(port), fake_worker(port, host="127.0.0.2"), house(registry(tmp_path, m=fields)) as running:
        await running.ready(within=LONG)
        await answered(running, "m")
        async with loaded(running) as load:
            for addresses, urls in ((("127.0.0.2", "127.0.0.1"), [one, two]), (("127.0.0.2",), [two])):
                resolved(*addresses)
                await eventually(lambda urls=urls: [each.url for each in running.model().workers] == urls, within=LONG)
                await serving(running, len(urls))
                await load.more()
            resolved("127.0.0.1", name="another.test")
            said = await eventually(lambda: running.model().trouble, within=LONG)
            await load.more()
        assert [each.url for each in running.model().workers] == [two]
    assert said == "w.test cannot be resolved: no such host; its last known addresses are used"
    assert [str(each.body[-500:]) for each in load.bad] == []


async def test_the_number_of_workers_follows_the_requests(tmp_path: Path) -> None:
    """From none to as many as there may be, and back to none when the clients are gone; nobody was turned away."""
    fields = {"replicas": {"min": 0, "max": 2, "target": 2, "idle_after": "1s"}, "balance": "least_loaded"}
    body = {"model": "m", "messages": [], "stream": True, "x_fake": {"tokens": 2000, "itl": 0.1}}
    async with house(registry(tmp_path, m=fields)) as running:
        await known(running, "m")
        async with AsyncExitStack() as streams:
            opened = [await streams.enter_async_context(calling(running.port, post(CHAT, body))) for _ in range(6)]
            await serving(running, 2)
            heard = [await stream.hear(events=2) for stream in opened]
        assert [each.status for each in heard] == [200] * 6
        await eventually(lambda: running.model().workers == (), within=LONG)
    assert next((each["before"], each["size"]) for each in running.said("Scaled")) == (1, 2)
    assert running.said("ModelFailed") == []
