"""What becomes of requests and processes when something of the real house is killed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import httpx
import openai
import pytest

from tests.faults.client import calling, post
from tests.real.house import LONG, MODEL, QUESTION, House, endless
from tests.stories.house import alive
from tests.waiting import eventually, until

pytestmark = [pytest.mark.real, pytest.mark.timeout(1800)]

CHAT = "/v1/chat/completions"
ENDLESS = {"model": MODEL, "messages": QUESTION, "max_tokens": LONG, "stream": True, "extra_body": {"ignore_eos": True}}


def nobody_left(house: House) -> httpx.Response | None:
    """The refusal; None: a server that is about to end took the request, and dropped it."""
    answer = house.chat()
    code = answer.json()["error"]["code"]
    assert (answer.status_code, code) in {(502, "worker_failed"), (503, "no_worker")}
    return answer if code == "no_worker" else None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda each: each.name)
async def test_a_worker_that_ends_fails_its_requests_and_is_replaced(
    house: House, client: openai.OpenAI, number: signal.Signals
):
    """SIGKILL: the engine says nothing. SIGTERM: it says `abort` and `[DONE]`, or loses a race with itself and falls
    silent, with its listener closed, until the supervisor ends it. Every client hears of each, once, in seconds.
    """
    worker = house.worker()
    raw, whole = (post(CHAT, endless(stream=stream)) for stream in (True, False))
    with client.chat.completions.create(**ENDLESS) as official:
        async with calling(house.port, raw) as stream, calling(house.port, whole) as json:
            await stream.hear(events=5)
            await eventually(lambda: house.engine("vllm:num_requests_running") == 3, what="three running requests")
            os.kill(worker.pid, number)
            streamed, answered = await stream.hear(), await json.hear()
        with pytest.raises(openai.APIError):
            list(official)
    assert ([error["code"] for error in streamed.errors], streamed.done) == (["worker_failed"], 0)
    assert (answered.status, answered.json()["error"]["code"]) == (502, "worker_failed")
    assert '"finish_reason":"' not in streamed.body.decode()
    refused = until(lambda: nobody_left(house), what="a refusal")
    assert int(refused.headers["retry-after"]) >= 1
    assert house.ready(not_id=worker.id).restarts == worker.restarts + 1
    assert "Paris" in house.chat().text


def test_a_killed_gateway_is_replaced_and_the_engine_never_notices(house: House):
    """The next request is served; the worker's process is the same."""
    worker, gateway = house.worker().pid, house.gateway()
    os.kill(gateway, signal.SIGKILL)
    until(lambda: not alive(gateway), what="the gateway's end")
    body = {"model": "default", "prompt": "x", "max_tokens": 1}

    def asked() -> httpx.Response | None:
        """None: a gateway that has just come answers 503 until it has a snapshot."""
        answer = httpx.post(f"{house.url}/v1/completions", json=body, trust_env=False, timeout=120)
        assert answer.status_code in {200, 503}
        return answer if answer.status_code == 200 else None

    assert until(asked, what="an answer").json()["usage"]["completion_tokens"] == 1
    assert (house.worker().pid, house.gateway() == gateway) == (worker, False)


def test_the_gateway_is_light(house: House):
    """Below 80 MB, and nothing of torch in it."""
    proc = Path(f"/proc/{house.gateway()}")
    status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
    mapped = (proc / "maps").read_text()
    assert int(status["VmRSS"].split()[0]) < 80 * 1024
    assert not [name for name in ("torch", "transformers", "vllm") if f"/{name}/" in mapped]


def test_who_comes_too_early_is_told_how_long_to_wait(house: House):
    """`/livez` answers at once; a chat is refused until the model is ready, and says what is being done."""
    early = house.early["chat"]
    assert house.early["livez"].status_code == 200
    assert (early.status_code, early.json()["error"]["code"]) == (503, "model_loading")
    assert "is being loaded" in early.json()["error"]["message"]
    assert int(early.headers["retry-after"]) >= 1


def test_nothing_survives_a_killed_supervisor_and_the_next_one_serves(house: House):
    """`kill -9` of the supervisor alone: `House.kill` waits until nothing is left of it."""
    house.kill()
    house.start()
    house.ready()
    assert house.chat().status_code == 200
