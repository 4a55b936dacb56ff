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


async def test_any_token_may_be_the_last_of_its_worker(twins: House):
    """Wherever it breaks, ids and usage are those of the unbroken answer; no part of a character is lost or doubled.

    Sixty tokens of a chat and of a completion, cut after every fifth, and emoji, whose first tokens show nothing, after
    each. Side by side, for the engines work off three streams in little more than the time of one.
    """
    ids = {"return_token_ids": True}
    chat, completion = wire(CHAT, **STORY, **ids), wire(COMPLETIONS, prompt="Once upon a time", **ids)
    async with asyncio.TaskGroup() as group:
        for request in (chat, completion):
            group.create_task(cut_after(twins, request, range(5, TOKENS, 5), TOKENS))
        emoji = group.create_task(cut_after(twins, wire(COMPLETIONS, **EMOJI, max_tokens=12), range(3, 12), 12))
    assert "🎉🎉" in emoji.result()["text"]


async def cut_after(house: House, request: bytes, points: range, tokens: int) -> dict[str, Any]:
    """The unbroken answer of so many `tokens`, once each of the broken ones has been found to be the same."""
    async with behind_a_cut(house) as cut:
        expected = await cut.ask(request)
        assert expected["usage"][0]["completion_tokens"] == tokens
        assert len(expected["ids"]) == (tokens if b"return_token_ids" in request else 0)
        assert (expected["terminals"], expected["heads"]) == ((1, []), 1)
        for after in points:
            assert await cut.ask(request, after) == expected, after
        assert cut.proxy.cuts == len(points)
        assert cut.gateway.metric("enginehouse_resumes_total", outcome="resumed") == cut.proxy.cuts
    return expected


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda each: each.name)
async def test_a_worker_that_really_dies_costs_no_stream(twins: House, number: signal.Signals):
    """`kill -9` says nothing, SIGTERM says `abort`: the stream that was there goes on with the other worker."""
    workers = both_ready(twins)
    request = wire(CHAT, **STORY, return_token_ids=True)
    expected = seen(await ask(twins.port, request))
    async with calling(twins.port, request) as one, calling(twins.port, request) as two:
        await asyncio.gather(one.hear(events=5), two.hear(events=5))
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
