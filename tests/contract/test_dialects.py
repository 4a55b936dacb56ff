"""Each engine's adapter and the fake that speaks its dialect understand each other, over real sockets.

Both were written from the engine's source (vLLM's also from what was seen), apart from each other: what they agree on
was read twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from engines import ENGINES
from engines.engine import Engine, HttpCall
from engines.supervisor import watchdog
from tests.processes import READY, FakeWorker, fake_worker


@dataclass(frozen=True)
class Pair:
    """An adapter and a fake of its dialect."""

    engine: Engine
    worker: FakeWorker

    def ask(self, call: HttpCall | None, *, key: str = "worker-key") -> httpx.Response:
        """What the worker answers to a call that the adapter made."""
        assert call is not None
        headers = {"authorization": f"Bearer {key}"} | ({"content-type": "application/json"} if call.body else {})
        url = self.worker.url + call.path
        return httpx.request(call.method, url, content=call.body, headers=headers, timeout=READY)


@pytest.fixture(scope="module", params=sorted(ENGINES))
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    with fake_worker("--dialect", request.param, "--tokens", "3") as worker:
        yield Pair(ENGINES[request.param], worker)


def test_a_healthy_worker_is_awake(pair: Pair):
    """None needs the key."""
    answer = pair.ask(pair.engine.health(), key="wrong")
    assert (answer.status_code, pair.engine.awake(answer.content)) == (200, True)


def test_the_warm_up_makes_one_real_token(pair: Pair):
    """With the key; without it the worker refuses."""
    made = pair.ask(pair.engine.warm_up("small"))
    assert made.json()["usage"]["completion_tokens"] == 1
    assert pair.ask(pair.engine.warm_up("small"), key="wrong").status_code == 401


def test_the_metrics_are_found_by_their_names(pair: Pair):
    """What the watchdog needs is there; LMDeploy's need the key, which probes carry."""
    text = pair.ask(HttpCall("GET", "/metrics")).text
    reading = watchdog.reading(text, pair.engine.metrics)
    assert reading is not None
    assert pair.engine.metrics.waiting in text


def test_usage_and_ids_are_asked_for_as_the_worker_understands_it(pair: Pair):
    """`prepare` spliced them in; ids only on the paths that tell them."""
    body = b'{"model":"alias","prompt":"x","stream":true,"max_tokens":2}'
    ids = "/v1/completions" in pair.engine.capabilities.token_ids
    sent = pair.engine.prepare(body, served_name="small", want_usage=True, want_ids=ids)
    text = pair.ask(HttpCall("POST", "/v1/completions", sent)).text
    events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
    assert events[-1]["usage"]["completion_tokens"] == 2
    assert ("token_ids" in events[0]["choices"][0]) is ids


def test_an_adapter_goes_in_and_out_where_the_engine_can(pair: Pair):
    """LMDeploy cannot, and says so before anybody asks."""
    load, unload = pair.engine.load_adapter("small:pirate@1", Path("/p")), pair.engine.unload_adapter("small:pirate@1")
    assert (load is not None, unload is not None) == (pair.engine.capabilities.hot_adapters,) * 2
    if load is not None:
        assert [pair.ask(load).status_code, pair.ask(load).status_code] == [200, 400]
        chat = {"model": "small:pirate@1", "prompt": "x", "max_tokens": 1}
        assert pair.ask(HttpCall("POST", "/v1/completions", json.dumps(chat).encode())).status_code == 200
        assert pair.ask(unload).status_code == 200


def test_a_sleeping_worker_is_not_taken_for_a_ready_one(pair: Pair):
    """LMDeploy's health is 200 all the same: the body tells. vLLM's says nothing."""
    assert pair.ask(pair.engine.sleep()).status_code == 200
    health = pair.ask(pair.engine.health())
    seen = health.status_code == 200 and pair.engine.awake(health.content)
    refused = pair.ask(pair.engine.warm_up("small")).status_code
    assert pair.ask(pair.engine.wake()).status_code == 200
    assert (seen, refused) == (pair.engine.name == "vllm", 503)
    assert pair.ask(pair.engine.warm_up("small")).status_code == 200
