"""What becomes of requests and processes when something of the real stack is killed, or its client leaves."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import httpx
import openai
import pytest

from tests.processes import short_folder
from tests.real.stack import alive, serving
from tests.waiting import until

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]

LONG = {"model": "default", "messages": [{"role": "user", "content": "Tell a long story."}], "max_tokens": 1500}
LONG |= {"ignore_eos": True, "temperature": 0}
ENDLESS = 1500
"""Tokens that nobody waits for."""


def running(stack):
    return stack.engine_figure("vllm:num_requests_running")


def generated(stack):
    return stack.engine_figure("vllm:generation_tokens_total")


def opened(stack, *, stream=True, timeout=120.0):
    """A request for a long story whose answer has begun; leaving the block is leaving the server."""
    body = LONG | {"stream": stream}
    return httpx.stream("POST", stack.url + "/v1/chat/completions", json=body, timeout=timeout, trust_env=False)


@pytest.mark.parametrize("stream", [True, False])
def test_the_engine_is_free_again_when_a_client_leaves(stack, stream):
    """By the engine's own count of running requests, long before the answer could have been complete."""
    before = generated(stack)
    with contextlib.suppress(httpx.ReadTimeout), opened(stack, stream=stream, timeout=3) as answer:
        for _ in answer.iter_raw():
            if generated(stack) - before > 5:
                break
    until(lambda: running(stack) == 0, within=10, what="the engine to be free")
    assert generated(stack) - before < ENDLESS / 2
    assert stack.gateway_figure("enginehouse_inflight_requests") == 0


@pytest.mark.parametrize("kill", [signal.SIGTERM, signal.SIGKILL])
def test_a_worker_that_ends_in_the_middle_of_a_stream_is_an_error(stack, kill):
    """SIGTERM: the engine says `abort` and `[DONE]`. SIGKILL: it says nothing. The client hears of both."""
    worker = stack.worker()
    said = []
    with opened(stack) as answer:
        for line in filter(None, answer.iter_lines()):
            said.append(line)
            if len(said) == 10:
                os.kill(worker["pid"], kill)
    assert said[-1].startswith('data: {"error":')
    assert sum('"error":' in line for line in said) == 1
    assert "data: [DONE]" not in said
    refused = stack.post("/v1/chat/completions", LONG | {"max_tokens": 2})
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "no_worker")
    assert "retry-after" in refused.headers
    assert stack.ready(after=worker["id"])["restarts"] == worker["restarts"] + 1
    assert stack.post("/v1/chat/completions", LONG | {"max_tokens": 2}).status_code == 200


def test_a_killed_gateway_is_replaced_and_the_engine_never_notices(stack):
    """A new one serves; the worker's process is the same."""
    worker, gateway = stack.worker()["pid"], stack.gateway_pid()
    os.kill(gateway, signal.SIGKILL)
    with stack.client() as client:
        answer = client.completions.create(model="default", prompt="x", max_tokens=1)
    assert answer.usage.completion_tokens == 1
    assert (stack.worker()["pid"], stack.gateway_pid() != gateway) == (worker, True)


def test_the_gateway_is_light(stack):
    """Below 80 MB, and nothing of torch in it."""
    proc = Path(f"/proc/{stack.gateway_pid()}")
    status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
    mapped = (proc / "maps").read_text()
    assert int(status["VmRSS"].split()[0]) < 80 * 1024
    assert not [name for name in ("torch", "transformers", "vllm") if f"/{name}/" in mapped]


def test_nothing_survives_a_killed_supervisor_and_the_next_one_serves():
    """`kill -9`; then the same state folder again, which answers at once that it is loading."""
    with short_folder() as folder:
        with serving(folder) as first:
            first.ready()
            family = first.family()
            os.kill(first.process.pid, signal.SIGKILL)
            gone = lambda: first.process.poll() is not None and not alive(family)  # noqa: E731
            until(gone, within=30, what="everything to be gone")
        with serving(folder) as second:
            until(lambda: livez(second), within=30, what="the gateway to listen")
            with pytest.raises(openai.InternalServerError, match="is being loaded") as refused:
                second.client().completions.create(model="default", prompt="x", max_tokens=1)
            assert (refused.value.status_code, refused.value.code) == (503, "model_loading")
            assert int(refused.value.response.headers["retry-after"]) >= 1
            second.ready()
            family = second.family()
        assert not alive(family)


def livez(stack):
    try:
        return stack.get("/livez").status_code == 200
    except httpx.TransportError:
        return False
