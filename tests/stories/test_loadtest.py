"""`make loadtest`'s program: real Locust, headless, against a gateway, a slow worker, nonsense, and nothing at all."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests import processes
from tests.processes import ROOT, FakeWorker, Gateway

PROGRAM = [sys.executable, "-m", "loadtests.drive"]
QUIET = {name: value for name, value in os.environ.items() if "KEY" not in name and not name.startswith("LOCUST")}


@pytest.fixture(scope="module", autouse=True)
def _locust() -> None:
    """Locust's environment, installed if it is not there yet: ten seconds."""
    subprocess.run([*PROGRAM, "--install"], cwd=ROOT, check=True)


def loadtest(host: str, **env: str) -> tuple[int, str]:
    """The status and the output of a run of two seconds with eight users."""
    told = QUIET | {"HOST": host, "USERS": "8", "RUN_TIME": "2s"} | env
    ran = subprocess.run(
        PROGRAM, cwd=ROOT, env=told, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert "Traceback" not in ran.stdout, ran.stdout
    return ran.returncode, ran.stdout


def row(output: str, kind: str, name: str) -> list[str]:
    """The words of the first row of Locust's table with this type and name."""
    return next(words for line in output.splitlines() if (words := line.split())[:2] == [kind, name])


def test_tables_and_reports_show_tokens_as_well_as_requests(gateway: Gateway, worker: FakeWorker, tmp_path: Path):
    worker.script(tokens=10, ttft=0.05, itl=0.01)
    status, output = loadtest(gateway.url, REPORT=str(tmp_path / "report"))
    assert status == 0, output
    assert all(int(row(output, "POST", name)[2]) > 0 for name in ("chat", "stream", "completions"))
    assert 40 <= int(row(output, "TTFT", "stream")[5]) <= 20_000  # the column Min, in milliseconds
    assert int(row(output, "ITL", "stream")[2]) == 9 * int(row(output, "POST", "stream")[2])
    assert int(row(output, "TOK/S", "chat")[2]) == int(row(output, "POST", "chat")[2])
    assert "ITL,stream" in (tmp_path / "report/loadtest_stats.csv").read_text()
    assert "TTFT" in (tmp_path / "report/loadtest.html").read_text()


def test_rows_of_tokens_do_not_change_the_totals(gateway: Gateway):
    _, output = loadtest(gateway.url, ARGS="StreamUser", RUN_TIME="1s")
    assert row(output, "Aggregated", row(output, "POST", "stream")[2])


def test_a_slow_server_breaks_the_limits_one_line_each(gateway: Gateway, worker: FakeWorker):
    worker.script(ttft=0.4)
    limits = {"MAX_TTFT_P95": "100ms", "MAX_P95": "200ms", "MIN_TOKENS_PER_SECOND": "1000000"}
    status, output = loadtest(gateway.url, **limits)
    assert status == 1, output
    assert all(f"limit broken: {name}=" in output for name in limits)
    assert "MAX_FAIL_RATIO" not in output


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"MODEL": "nobody"}, "has no model 'nobody' (model_not_found); it lists: small"),
        ({"MAX_P95": "3"}, "MAX_P95=3 is not a time"),
        ({"HOST": "localhost"}, "is not a URL"),
    ],
)
def test_what_cannot_be_tested_is_one_sentence(gateway: Gateway, env: dict[str, str], said: str):
    status, output = loadtest(gateway.url, **env)
    assert (status, output.count("\n")) == (2, 1), output
    assert said in output


def test_a_server_that_is_down_is_one_sentence(free_port: int):
    status, output = loadtest(f"http://127.0.0.1:{free_port}")
    assert (status, output.count("\n")) == (2, 1), output
    assert "connection refused" in output


def test_without_a_host_it_serves_a_registry_itself_and_stops_it(tmp_path: Path):
    """The default is a clean clone's own model; here a worker that runs already stands in for the engine."""
    registry = tmp_path / "registry.yaml"
    with processes.fake_worker(key="") as started:
        model = {"engine": "vllm", "launcher": "external", "urls": [started.url]}
        registry.write_text(json.dumps({"models": {"small": model}}))
        status, output = loadtest("", REGISTRY=str(registry), ARGS="ChatUser", RUN_TIME="1s")
    assert status == 0, output
    assert int(row(output, "POST", "chat")[2]) > 0
    assert output.rstrip().endswith("stopped; nothing is left running")


def test_a_house_that_cannot_be_served_is_said_in_its_own_words(tmp_path: Path):
    status, output = loadtest("", REGISTRY=str(tmp_path / "missing.yaml"))
    assert status == 2, output
    assert "loadtest: enginehouse serve ended with status 2; its words are above" in output


EVENT = b'data: {"choices": [{"delta": {"content": "a"}, "finish_reason": null}]}\n\n'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
NONSENSE = {
    "worker_failed": HEAD + EVENT + b'data: {"error": {"code": "worker_failed", "message": "gone"}}\n\n',
    "text/html instead of an event stream": b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>hello</html>",
    "an event that is not JSON": HEAD + b'data: {"choices": [\n\n',
    "ended without [DONE]": HEAD + EVENT,
    "[DONE] without finish_reason": HEAD + EVENT + b"data: [DONE]\n\n",
    "cut off in the middle": b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 999\r\n\r\n"
    + EVENT,
    "not HTTP: BadStatusLine": b"220 mail.example.com ESMTP\r\n",
    "connection closed by the server": b"",
}


@asynccontextmanager
async def nonsense(port: int) -> AsyncIterator[None]:
    """A server that gives each request the next of `NONSENSE`, and no answer at all to the ninth."""
    answers = itertools.cycle([*NONSENSE.values(), None])

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"GET"):
            writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        elif (found := next(answers)) is None:
            await reader.read()
        else:
            await reader.readuntil(b"}}")  # a close with unread bytes would be a reset
            writer.write(found)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", port):
        yield


async def test_nonsense_is_counted_under_its_name_and_never_a_traceback(free_port: int):
    """Nothing that a server sends is worth a crash of the instrument."""
    async with nonsense(free_port):
        status, output = await asyncio.to_thread(
            loadtest, f"http://127.0.0.1:{free_port}", MODEL="m", TIMEOUT="500ms", ARGS="StreamUser", RUN_TIME="5s"
        )
    assert status == 1, output
    assert [name for name in (*NONSENSE, "timed out") if f"POST stream: {name}" not in output] == []
    assert json.loads(row(output, "POST", "stream")[2]) > 20
