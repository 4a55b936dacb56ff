"""A supervisor over real processes and sockets: it starts, watches, restarts and ends its workers."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import httpx
import pytest

from engines.processes import sessions
from registry.snapshot import WorkerView
from tests.faults.client import calling, post
from tests.faults.stage import CHAT
from tests.processes import free_port
from tests.stories.fakes import fake_worker
from tests.stories.house import alive, answered, family, house, registry
from tests.waiting import PATIENCE, eventually


async def busy(worker: WorkerView, requests: int) -> bool:
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as http:
        return (await http.get(f"{worker.url}/fake/counts")).json()["running"] == requests


async def shown(url: str, line: str) -> bool:
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=PATIENCE) as http:
        return line in (await http.get("/metrics")).text


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


async def refuses(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return True
    writer.close()
    return False


async def test_a_model_becomes_ready_and_answers_through_the_gateway(tmp_path: Path) -> None:
    async with house(registry(tmp_path, m={"aliases": ["default"]})) as running:
        worker = await running.ready()
        await answered(running, "default")
    assert (running.model().loading, worker.reason) == (None, "")
    assert [each["model"] for each in running.said("ModelReady")] == ["m"]


async def test_sigterm_stops_everything(tmp_path: Path) -> None:
    """Exit 0, and nothing is left: no worker, no keeper, no gateway."""
    async with house(registry(tmp_path, m={"replicas": 2})) as running:
        pids = family((await running.ready()).pid)
        await eventually(lambda: running.worker("ready", seat=1))
        pids |= family(running.worker(seat=1).pid) | {running.said("GatewayStarted")[0]["pid"]}
        running.process.terminate()
        assert await running.process.wait() == 0
        assert [pid for pid in pids if alive(pid)] == []
    assert [each["event"] for each in running.events[-2:]] == ["Draining", "Stopped"]
    assert (running.state / "workers.json").read_bytes() == b"[]"


async def test_who_comes_during_the_drain_is_refused_and_nobody_is_left_waiting(tmp_path: Path) -> None:
    """No gateway will come who could answer; the stream that runs is finished."""
    async with house(registry(tmp_path, m={}), drain=10) as running:
        await running.ready()
        await answered(running, "m")
        slow = {"model": "m", "messages": [], "stream": True, "x_fake": {"itl": 0.1, "tokens": 30}}
        async with calling(running.port, post(CHAT, slow)) as stream:
            await stream.hear(events=3)
            running.process.terminate()
            await eventually(lambda: refuses(running.port), what="a refused connection")
            assert not stream.transcript.done
            assert (await stream.hear()).done == 1
        assert await running.process.wait() == 0


async def test_a_second_signal_does_not_wait(tmp_path: Path) -> None:
    """A worker that is deaf to SIGTERM would have its whole grace."""
    async with house(registry(tmp_path, m={"options": {"vllm": {"itl": 60}}}), drain=60) as running:
        worker = await running.ready()
        os.kill(worker.pid, signal.SIGSTOP)
        running.process.terminate()
        await eventually(lambda: running.said("Draining"))
        running.process.terminate()
        assert await running.process.wait() == 1
        assert not alive(worker.pid)


async def test_a_killed_supervisor_leaves_nothing_running(tmp_path: Path) -> None:
    """The keeper sees its pipe close, the gateway is tethered; and the address is free again."""
    path = registry(tmp_path, m={})
    async with house(path) as running:
        pids = family((await running.ready()).pid) | {running.said("GatewayStarted")[0]["pid"]}
        running.process.kill()
        await running.process.wait()
        await eventually(lambda: not any(alive(pid) for pid in pids), what=f"the end of {pids}")
    port = int(running.url.rpartition(":")[2])
    async with house(path, port=port) as again:
        await again.ready()


@pytest.mark.parametrize("which", ["the leader", "its child"])
async def test_whoever_kills_the_supervisor_and_a_keeper_at_once_leaves_nothing(tmp_path: Path, which: str) -> None:
    """A keeper is two processes: the one that is left ends the engine's own children too, which nothing else would."""
    async with house(registry(tmp_path, m={"options": {"vllm": {"core": True}}})) as running:
        worker = await running.ready()
        pids = family(worker.pid)
        leader, child = sessions.leader(worker.pid), parent(worker.pid)
        assert len(pids) == len({leader, child, worker.pid}) + 1
        running.process.send_signal(signal.SIGSTOP)  # so that it does nothing between the two
        os.kill(leader if which == "the leader" else child, signal.SIGKILL)
        running.process.kill()
        await running.process.wait()
        await eventually(lambda: not any(alive(pid) for pid in pids), what=f"the end of {pids}")


async def test_a_killed_worker_is_another_worker_soon(tmp_path: Path) -> None:
    async with house(registry(tmp_path, m={})) as running:
        first = await running.ready()
        os.kill(first.pid, signal.SIGKILL)
        second = await running.ready(not_id=first.id)
    (lost,) = running.said("WorkerLost")
    assert (second.restarts, second.url != first.url, second.key != first.key) == (1, True, True)
    assert "killed by SIGKILL" in lost["reason"]
    assert (lost["cause"], second.cause) == ("killed", "killed")
    assert 0 < lost["retry_in"] <= 0.1


async def test_an_end_that_a_probe_sees_before_the_keeper_tells_of_it_has_its_own_cause(tmp_path: Path) -> None:
    """The other processes of vLLM take a while to end, and a request that broke off has it probed at once."""
    async with house(registry(tmp_path, m={})) as running:
        worker = await running.ready()
        keeper = sessions.leader(worker.pid), parent(worker.pid)
        for pid in keeper:
            os.kill(pid, signal.SIGSTOP)
        os.kill(worker.pid, signal.SIGKILL)
        await eventually(lambda: running.worker("unhealthy"), what="a probe that finds nobody")
        for pid in keeper:
            os.kill(pid, signal.SIGCONT)
        second = await running.ready(not_id=worker.id)
    (lost,) = running.said("WorkerLost")
    assert (lost["cause"], second.cause, "SIGKILL" in lost["reason"]) == ("killed", "killed", True)


async def test_a_crash_at_start_shows_the_end_of_its_log_and_is_held_down(tmp_path: Path) -> None:
    """Five crashes in ten minutes; another model is served all the while."""
    broken = {"options": {"vllm": {"crash_at_start": 3}}}
    async with house(registry(tmp_path, broken=broken, m={})) as running:
        worker = await eventually(lambda: running.worker("crash_loop", "broken"))
        await running.ready()
    lost = running.said("WorkerLost")
    assert [each["retry_in"] is None for each in lost] == [False] * 4 + [True]
    assert lost[0]["reason"] == "exited with status 3: RuntimeError: the scripted crash at start"
    assert lost[0]["tail"][-2] == "loading the weights"
    assert "held down after 5 crashes" in worker.reason


async def test_a_lost_device_is_told_while_others_serve(tmp_path: Path) -> None:
    """In the event, in the snapshot that `status` shows, and as a count; it is held down like any crash loop."""
    words = "RuntimeError: CUDA error: no CUDA-capable device is detected"
    broken = {"options": {"vllm": {"crash_at_start": 1, "last_words": words}}}
    async with house(registry(tmp_path, broken=broken, m={})) as running:
        worker = await eventually(lambda: running.worker("crash_loop", "broken"))
        await running.ready()
        await answered(running, "m")
        counted = 'enginehouse_worker_losses_total{cause="device_lost",model="broken"} 5.0'
        await eventually(lambda: shown(running.url, counted), what=counted)  # it is told after the state
    assert {each["cause"] for each in running.said("WorkerLost")} == {"device_lost"}
    assert (worker.cause, words in worker.reason, "`dmesg`" in worker.reason) == ("device_lost", True, True)


async def test_a_frozen_worker_is_avoided_and_then_replaced(tmp_path: Path) -> None:
    async with house(registry(tmp_path, m={})) as running:
        first = await running.ready()
        os.kill(first.pid, signal.SIGSTOP)
        unhealthy = await eventually(lambda: running.worker("unhealthy"))
        second = await running.ready(not_id=first.id)
    assert unhealthy.reason == "/health did not answer within 2 s"
    assert second.restarts == 1


async def test_a_worker_that_stopped_listening_is_ended_so_that_its_clients_hear_of_it(tmp_path: Path) -> None:
    """SIGTERM from outside: it lives, refuses everybody new and keeps those it has waiting, as vLLM may."""
    async with house(registry(tmp_path, m={"options": {"vllm": {"lingers": True}}})) as running:
        first = await running.ready()
        await answered(running, "m")
        slow = {"model": "m", "messages": [], "x_fake": {"itl": 0.1, "tokens": 600}}
        stream, whole = (post(CHAT, slow | {"stream": each}) for each in (True, False))
        async with calling(running.port, stream) as streamed, calling(running.port, whole) as asked:
            await streamed.hear(events=3)
            await eventually(lambda: busy(first, 2), what="two running requests")
            os.kill(first.pid, signal.SIGTERM)
            heard, told = await streamed.hear(), await asked.hear()
        second = await running.ready(not_id=first.id)
    assert ([each["code"] for each in heard.errors], heard.done) == (["worker_failed"], 0)
    assert (told.status, told.json()["error"]["code"]) == (502, "worker_failed")
    assert second.restarts == 1
    assert running.said("WorkerLost")[0]["reason"] == "ended, as it was dead: connection refused"


async def test_a_worker_whose_engine_died_is_replaced(tmp_path: Path) -> None:
    """Its server lives and says so."""
    async with house(registry(tmp_path, m={})) as running:
        first = await running.ready()
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as http:
            await http.post(f"{first.url}/fake/script", json={"set": {"unhealthy": True}})
        await running.ready(not_id=first.id)
    assert running.said("WorkerLost")[0]["reason"] == "ended, as it was dead: /health answered 503"


async def test_a_model_that_cannot_be_prepared_stops_nobody(tmp_path: Path) -> None:
    async with house(registry(tmp_path, unpreparable={}, m={})) as running:
        await running.ready()
        await eventually(lambda: len(running.said("ModelFailed")) > 1)
        loading = running.model("unpreparable").loading
    assert loading.step == "preparation failed, trying again"  # clients read this; the reason may hold paths
    assert "the disk is full; free some space" in loading.reason


async def test_a_bug_in_one_model_stops_nobody(tmp_path: Path) -> None:
    async with house(registry(tmp_path, buggy={}, m={})) as running:
        await running.ready()
        loading = running.model("buggy").loading
    assert (loading.step, loading.reason) == ("stopped by a bug of ours", "ZeroDivisionError()")


async def test_ctrl_c_during_preparation_ends_at_once(tmp_path: Path) -> None:
    """Set-up takes minutes; a person who stops it does not wait for it."""
    async with house(registry(tmp_path, slow={}, m={})) as running:
        await running.ready()
        running.process.send_signal(signal.SIGINT)
        assert await running.process.wait() == 0
    assert running.model("slow").loading.step == "waiting to be prepared"


async def test_a_killed_gateway_is_replaced_and_no_engine_notices(tmp_path: Path) -> None:
    async with house(registry(tmp_path, m={})) as running:
        worker = await running.ready()
        os.kill(running.said("GatewayStarted")[0]["pid"], signal.SIGKILL)
        await answered(running, "m")
        assert running.worker("ready").id == worker.id
    assert len(running.said("GatewayStarted")) == 2


async def test_a_worker_of_somebody_else_is_used_and_never_stopped(tmp_path: Path) -> None:
    """It goes by its own name, and is found again after it was away."""
    port = free_port()
    path = registry(tmp_path, m={"launcher": "external", "urls": [f"http://127.0.0.1:{port}"]})
    async with house(path) as running:
        async with fake_worker(port, "--served-name", "theirs"):
            await running.ready()
            await answered(running, "m")
            assert running.model().served_name == "theirs"
        await eventually(lambda: running.worker("unhealthy"))
        async with fake_worker(port, "--served-name", "theirs") as fake:
            await running.ready()
            running.process.terminate()
            assert await running.process.wait() == 0
            assert (await fake.get("/health")).status_code == 200


async def test_a_second_supervisor_is_refused(tmp_path: Path) -> None:
    path = registry(tmp_path, m={})
    async with house(path) as running:
        await running.ready()
        async with house(path) as second:
            assert await second.process.wait() == 2


async def test_a_taken_port_is_refused(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    async with house(registry(tmp_path, m={})) as running:
        await running.ready()
        port = int(running.url.rpartition(":")[2])
        async with house(registry(tmp_path / "b", m={}), port=port) as second:
            assert await second.process.wait() == 2
