"""Two real engines in float32, greedy: an answer that changes workers in the middle is the answer of one worker.

Exactness is judged on token ids. In float32 the same ids come again, however prefill and decode round; in bfloat16 two
tokens that are within rounding of each other may swap, as they may between two runs of one engine.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import pytest
import yaml

from registry.snapshot import ModelView, WorkerState, WorkerView
from tests.faults.client import Transcript, ask, calling, post
from tests.faults.verify import text_of
from tests.processes import Gateway, gateway, model, short_folder
from tests.real.cutting import Cutting, cutting
from tests.real.house import DEFAULT, MODEL, PREPARED, House, serving, summed
from tests.waiting import eventually, until

pytestmark = [pytest.mark.real, pytest.mark.timeout(1800)]

CHAT: Final = "/v1/chat/completions"
COMPLETIONS: Final = "/v1/completions"
STORY: Final = {"messages": [{"role": "user", "content": "Tell me a story about a lighthouse and its keeper."}]}
EMOJI: Final = {"prompt": "Repeat: 你好🎉你好🎉 ="}
"""SmolLM2 repeats the emoji, of which each token is a part."""
TOKENS: Final = 60


@pytest.fixture(scope="module")
def twins() -> Iterator[House]:
    """The default model in float32, twice."""
    registry = yaml.safe_load(DEFAULT.read_text())
    spec = registry["models"][MODEL]
    spec |= {"replicas": 2, "quantization": "none", "queue": {"limit": 256, "wait": "120s"}}
    del spec["adapters"]
    spec["timeouts"]["total"] = "off"  # a YAML reader takes the bare word for false
    spec["options"]["vllm"] |= {"dtype": "float32", "max_num_seqs": 4}
    with short_folder() as folder:
        path = folder / "models.yaml"
        path.write_text(yaml.safe_dump(registry))
        with serving(path) as house:
            both_ready(house)
            yield house


def both_ready(house: House) -> list[WorkerView]:
    """Wait until both workers can answer."""

    def look() -> list[WorkerView]:
        assert house.up, house.tail()
        workers = [each for view in house.snapshot().models for each in view.workers]
        good = len(workers) == 2 and all(each.state is WorkerState.READY for each in workers)
        return workers if good else []

    return until(look, within=PREPARED, what="two ready workers")


@dataclass(frozen=True)
class Cut:
    """A gateway whose preferred worker can be broken off."""

    gateway: Gateway
    proxy: Cutting
    view: ModelView

    async def ask(self, request: bytes, after: int | None = None) -> dict[str, Any]:
        """The answer, its worker broken off after so many tokens. What was held against it is forgotten before."""
        self.proxy.after = after
        self.gateway.publish()
        self.gateway.publish(self.view)
        return seen(await ask(self.gateway.port, request))


@asynccontextmanager
async def behind_a_cut(house: House) -> AsyncIterator[Cut]:
    """A gateway of its own on the two workers, the preferred one behind a proxy that can break it off."""
    first, second = both_ready(house)
    async with cutting(int(first.url.rpartition(":")[2])) as cut:
        with short_folder() as folder, gateway(folder) as opened:
            proxied = msgspec.structs.replace(first, url=f"http://127.0.0.1:{cut.port}")
            served = house.snapshot().models[0].served_name
            yield Cut(opened, cut, model(proxied, second, name=MODEL, served_name=served, aliases=()))


def wire(path: str, **fields: Any) -> bytes:
    options = {"include_usage": True}
    greedy = {"model": MODEL, "temperature": 0, "max_tokens": TOKENS, "ignore_eos": True, "stream": True}
    return post(path, greedy | {"stream_options": options} | fields)


def seen(heard: Transcript) -> dict[str, Any]:
    events = [json.loads(data) for data in heard.events if data != "[DONE]"]
    choices = [choice for each in events for choice in each.get("choices", ())]
    return {
        "text": text_of(heard.events),
        "ids": [token for each in choices for token in each.get("token_ids") or ()],
        "finish": [each["finish_reason"] for each in choices if each["finish_reason"]],
        "usage": [each["usage"] for each in events if not each["choices"]],
        "heads": len({(each["id"], each["object"], each["created"]) for each in events}),
        "terminals": (heard.done, heard.errors),
    }


@pytest.mark.parametrize(
    ("path", "prompt"), [(CHAT, STORY), (COMPLETIONS, {"prompt": "Once upon a time"})], ids=["chat", "completion"]
)
async def test_every_fifth_token_may_be_the_last_of_its_worker(twins: House, path: str, prompt: dict[str, Any]):
    """Sixty tokens: the ids and the usage are those of the unbroken answer, wherever it broke."""
    request = wire(path, **prompt, return_token_ids=True)
    async with behind_a_cut(twins) as cut:
        expected = await cut.ask(request)
        assert (len(expected["ids"]), expected["terminals"], expected["heads"]) == (TOKENS, (1, []), 1)
        for after in range(5, TOKENS, 5):
            assert await cut.ask(request, after) == expected, after
        assert cut.proxy.cuts == TOKENS // 5 - 1
        assert cut.gateway.metric("enginehouse_resumes_total", outcome="resumed") == cut.proxy.cuts


async def test_no_part_of_a_character_is_lost_or_doubled(twins: House):
    """Cut after each token of emoji, whose first tokens show nothing."""
    async with behind_a_cut(twins) as cut:
        request = wire(COMPLETIONS, **EMOJI, max_tokens=12)
        expected = await cut.ask(request)
        assert "🎉🎉" in expected["text"]
        for after in range(3, 12):
            assert await cut.ask(request, after) == expected, after


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda each: each.name)
async def test_a_worker_that_really_dies_costs_no_stream(twins: House, number: signal.Signals):
    """`kill -9` says nothing, SIGTERM says `abort`: the stream that was there goes on with the other worker."""
    workers = both_ready(twins)
    request = wire(CHAT, **STORY, return_token_ids=True)
    expected = seen(await ask(twins.port, request))
    async with calling(twins.port, request) as one, calling(twins.port, request) as two:
        await asyncio.gather(one.hear(events=15), two.hear(events=15))
        os.kill(busy(twins, workers).pid, number)
        heard = await asyncio.gather(one.hear(), two.hear())
    assert [seen(each) for each in heard] == [expected, expected]
    await eventually(lambda: twins.metric("enginehouse_resumes_total", outcome="resumed") >= 1, what="a resume")


def busy(house: House, workers: list[WorkerView]) -> WorkerView:
    """A worker that generates now."""
    running = [each for each in workers if summed(_metrics(house, each), "vllm:num_requests_running", {}) > 0]
    return running[0]


def _metrics(house: House, worker: WorkerView) -> str:
    return house.http.get(f"{worker.url}/metrics").text
