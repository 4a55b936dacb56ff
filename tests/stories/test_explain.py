"""`GET /admin/requests/{id}` and `enginehouse explain`: a real gateway says what became of requests, and no more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from registry.snapshot import QueueLimits
from tests import processes
from tests.faults.client import ask, calling, post
from tests.processes import ROOT, FakeWorker, Gateway, model
from tests.waiting import eventually

CHAT = "/v1/chat/completions"
CANARY = "canary-4711"
KEYS = {"ENGINEHOUSE_API_KEY": "api-key", "ENGINEHOUSE_ADMIN_KEY": "admin-key"}


def chat(name: str, *, to: str = "small", stream: bool = True, text: str = "hi", **script: Any) -> bytes:
    body = {"model": to, "messages": [{"role": "user", "content": text}], "stream": stream, "x_fake": script}
    return post(CHAT, body, {"x-request-id": name})


def explained(gateway: Gateway, name: str) -> dict[str, Any]:
    """The gateway's answer, whose times add up."""
    answer = gateway.client.get(f"/admin/requests/{name}")
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    times = told["microseconds"]
    assert sum(length for phase, length in times.items() if phase != "total") == times["total"]
    return told


@pytest.fixture
def dead() -> Iterator[FakeWorker]:
    """A worker that the snapshot still calls ready."""
    with processes.fake_worker() as started:
        started.kill()
        yield started


async def test_a_stream_that_went_well(gateway: Gateway, worker: FakeWorker):
    await ask(gateway.port, chat("well", to="default", ttft=0.2, itl=0.05, tokens=20))
    told = explained(gateway, "well")
    assert (told["status"], told["ended_by"], told["retries"], told["resumes"]) == (200, "complete", 0, 0)
    assert (told["target"]["requested"], told["target"]["model"]) == ("default", "small")
    assert [each["worker"] for each in told["attempts"]] == [worker.view().id]
    assert told["microseconds"]["first_token"] >= 200_000
    assert told["microseconds"]["decode"] >= 150_000


async def test_a_whole_answer(gateway: Gateway):
    await ask(gateway.port, chat("whole", stream=False, ttft=0.2))
    told = explained(gateway, "whole")
    assert (told["ended_by"], told["stream"], told["microseconds"]["answer"] >= 200_000) == ("complete", False, True)


async def test_a_dead_worker_and_the_one_after_it(gateway: Gateway, worker: FakeWorker, dead: FakeWorker):
    """Both attempts, why each was made, and what the first one ended with."""
    gateway.publish(model(dead, worker))
    await ask(gateway.port, chat("retried"))
    told = explained(gateway, "retried")
    first, second = told["attempts"]
    assert (told["ended_by"], told["retries"]) == ("complete", 1)
    assert (first["worker"], first["error"]) == (dead.view().id, "worker_failed")
    assert {each["worker"] for each in first["candidates"]} == {dead.view().id, worker.view().id}
    assert (second["worker"], second["error"]) == (worker.view().id, None)


async def test_a_request_that_had_to_queue(gateway: Gateway, worker: FakeWorker):
    gateway.publish(model(worker.view(capacity=1)))
    async with calling(gateway.port, chat("before", tokens=40, itl=0.05)) as conversation:
        await conversation.hear(events=1)
        await ask(gateway.port, chat("queued", tokens=2))
    told = explained(gateway, "queued")
    assert told["microseconds"]["queue"] > told["microseconds"]["total"] / 2


async def test_a_client_that_left_and_was_still_running(gateway: Gateway, worker: FakeWorker):
    """One that hangs can be looked at; afterwards it is told who ended it."""
    async with calling(gateway.port, chat("left", ttft=60)) as conversation:
        await eventually(lambda: worker.counts()["running"] == 1, what="a running request")
        running = explained(gateway, "left")
        conversation.leave(reset=False)
        await eventually(lambda: explained(gateway, "left")["ended_by"], what="its end")
    assert (running["ended_by"], running["timeline"][-1]["phase"]) == (None, "first_token")
    told = explained(gateway, "left")
    assert (told["ended_by"], told["error"], told["status"]) == ("client", "client_gone", 499)


async def test_a_request_that_was_shed(gateway: Gateway, worker: FakeWorker):
    gateway.publish(model(worker.view(capacity=1), queue=QueueLimits(limit=0)))
    async with calling(gateway.port, chat("holder", itl=60)) as conversation:
        await conversation.hear(events=1)
        await ask(gateway.port, chat("shed"))
    told = explained(gateway, "shed")
    assert (told["status"], told["error"], told["ended_by"], told["attempts"]) == (429, "queue_full", "gateway", [])


async def test_a_worker_that_broke_off_a_stream(gateway: Gateway):
    await ask(gateway.port, chat("broken", cut_at=700))
    told = explained(gateway, "broken")
    assert (told["status"], told["ended_by"], told["attempts"][0]["error"]) == (200, "worker", "worker_failed")


async def test_a_stream_that_another_worker_went_on_with(gateway: Gateway, worker: FakeWorker):
    """Each worker's decoding is told apart; the failed one says why it was left."""
    with processes.fake_worker() as second:
        worker.script(tokens=12, itl=0.02, truncate_at=6)
        second.script(tokens=12, itl=0.02)
        gateway.publish(model(worker.view(id="a", fingerprint="f"), second.view(id="b", fingerprint="f")))
        body = {"model": "small", "prompt": "hi", "stream": True, "temperature": 0, "max_tokens": 12}
        await ask(gateway.port, post("/v1/completions", body, {"x-request-id": "resumed"}))
    told = explained(gateway, "resumed")
    assert (told["ended_by"], told["retries"], told["resumes"]) == ("complete", 0, 1)
    assert [(each["worker"], each["continues"], each["error"]) for each in told["attempts"]] == [
        ("a", False, "worker_failed"),
        ("b", True, None),
    ]
    assert [each["attempt"] for each in told["timeline"] if each["phase"] == "decode"] == [1, 2]


async def test_a_model_that_nobody_knows(gateway: Gateway):
    await ask(gateway.port, chat("unknown", to="gpt-9"))
    told = explained(gateway, "unknown")
    assert told["target"] == {"requested": "gpt-9", "model": None, "served_name": None, "engine": None}
    assert (told["status"], told["error"], told["ended_by"]) == (404, "model_not_found", "gateway")


async def test_an_id_that_a_client_used_twice(gateway: Gateway):
    for _ in range(2):
        await ask(gateway.port, chat("twice"))
    assert explained(gateway, "twice")["same_id"] == 2


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nobody", "No request whose id is, or begins with, 'nobody'"),
        ("", "no request id"),
        ("a%20b", "no request id"),
        ("%00", "no request id"),
        ("x" * 200, "no request id"),
        ("%C3%A9", "no request id"),
        ("a/../b", "No request"),
        ("%7B%7D%7Bname%7D", "'{}{name}'"),
    ],
)
def test_an_id_that_is_none_or_unknown(gateway: Gateway, name: str, says: str):
    """404 in OpenAI's envelope, and a sentence that says why it may be so."""
    answer = gateway.client.get(f"{gateway.url}/admin/requests/{name}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "request_not_found")
    assert says in answer.json()["error"]["message"]


async def test_an_id_may_hold_a_slash(gateway: Gateway):
    await ask(gateway.port, chat("trace/7?a=b&c%2F"))
    answer = gateway.client.get("/admin/requests/trace%2F7%3Fa%3Db%26c%252F")
    assert answer.json()["request_id"] == "trace/7?a=b&c%2F"


async def test_no_prompt_no_answer_and_no_key_is_told(worker: FakeWorker):
    """An explanation ends up in a ticket. It takes the admin key."""
    with processes.short_folder() as folder, processes.gateway(folder, env=KEYS) as gateway:
        gateway.publish(model(worker))
        for number, script in enumerate(({}, {"status": 400}, {"cut_at": 700}, {"status": 500})):
            wire = chat(f"canary{number}", text=CANARY, **script)
            await ask(gateway.port, wire.replace(b"\r\n", b"\r\nauthorization: Bearer api-key\r\n", 1))
        for number in range(4):
            path = f"/admin/requests/canary{number}"
            assert gateway.client.get(path).status_code == 401
            assert gateway.client.get(path, headers={"x-api-key": "api-key"}).status_code == 403
            told = gateway.client.get(path, headers={"x-api-key": "admin-key"})
            assert told.status_code == 200
            assert not [each for each in (CANARY, "api-key", "admin-key", worker.key) if each in told.text]


def command(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    known = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "COLUMNS": "140"}
    return subprocess.run(
        [sys.executable, "-m", "cli", "explain", *words],
        cwd=ROOT, env=known | env, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


async def test_the_command_draws_it(gateway: Gateway, worker: FakeWorker):
    """A waterfall for people, JSON for programs; the beginning of an id will do."""
    await ask(gateway.port, chat("drawn-1234", ttft=0.1))
    told = command("drawn-12", "--url", gateway.url)
    assert (told.returncode, told.stderr) == (0, "")
    assert all(words in told.stdout for words in ("'small' → small", "first_token", "█", worker.view().id, "complete"))
    plain = json.loads(command("drawn-1234", "--url", gateway.url, "--json").stdout)
    assert plain["request_id"] == "drawn-1234"


def test_the_command_tells_what_is_wrong(gateway: Gateway, state_folder):
    """One sentence and exit code 1: no such request, nobody there, no house."""
    for words, says in (
        (("nobody", "--url", gateway.url), "No request whose id"),
        (("nobody", "--url", "http://127.0.0.1:9"), "not running: nothing answers"),
        (("nobody", "--state", str(state_folder)), "not running: no house serves"),
    ):
        told = command(*words)
        assert (told.returncode, told.stdout) == (1, "")
        assert says in told.stderr
        assert "Traceback" not in told.stderr
