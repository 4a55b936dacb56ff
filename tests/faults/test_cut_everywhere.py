"""The stream is cut at every byte offset: the client gets the whole answer or an exception, never a short answer.

A fault proxy stands between gateway and worker and ends each answer after so many bytes, for each kind of stream in
each engine's dialect: at every byte by FIN, and at a sample of them by RST, which differs only in what the gateway's
socket says. The judge of a sample is the official openai client, of all a raw one that believes nothing. The gateway
knows all three workers as vLLM's: that decides what they are asked, and what they say it reads in every dialect alike.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import openai
import pytest

from registry.snapshot import WorkerState, WorkerView
from tests.faults.client import End, Transcript, ask, post
from tests.faults.proxy import Ending, Faults, Way, proxying
from tests.faults.stage import SEED
from tests.faults.verify import inspect, inspect_part, text_of
from tests.processes import FakeWorker, Gateway, fake_worker, model

TOKENS = 3
STREAMED: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
ASK: dict[str, Any] = {"stream": True, "x_fake": {"tokens": TOKENS, "close": True}}
OTHERS = ("sglang", "lmdeploy")
CHAT, COMPLETIONS, RESPONSES, MESSAGES = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/messages",
)
QUESTIONS = {
    CHAT: {"messages": [{"role": "user", "content": "hi"}]},
    COMPLETIONS: {"prompt": "hi"},
    RESPONSES: {"input": "hi"},
    MESSAGES: {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 100},
}
STREAMS = [("vllm", path) for path in QUESTIONS] + [(each, path) for each in OTHERS for path in (CHAT, COMPLETIONS)]
"""Each kind of stream in each dialect that the fake worker speaks."""
TERMINAL = {"response.completed", "message_stop"}
"""What ends a stream well where it is not `[DONE]`."""
SAMPLE = 100
"""Where only some offsets of a stream are cut: so many of its middle, and all near both its ends."""


@pytest.fixture(scope="module")
def others() -> Iterator[dict[str, FakeWorker]]:
    """A worker for each dialect beside vLLM's."""
    with ExitStack() as opened:
        yield {dialect: opened.enter_context(fake_worker("--dialect", dialect)) for dialect in OTHERS}


@pytest.fixture
def workers(worker: FakeWorker, others: dict[str, FakeWorker]) -> dict[str, FakeWorker]:
    return {"vllm": worker} | others


async def size_of_answer(gateway: Gateway, worker: FakeWorker, path: str, body: dict) -> int:
    """How many bytes the worker sends the gateway for `body`, head included: the gateway asks for the usage too."""
    gateway.publish(model(worker))
    assert (await ask(gateway.port, post(path, body))).status == 200
    reader, writer = await asyncio.open_connection("127.0.0.1", worker.port)
    key = {"authorization": f"Bearer {worker.key}", "host": "x"}
    writer.write(post(path, worker.last()["body"].encode(), key))
    answer = await reader.read(-1)
    writer.close()
    assert answer.endswith(b"\r\n0\r\n\r\n")
    return len(answer)


def proxied(worker: FakeWorker, url: str, offset: int) -> WorkerView:
    return WorkerView(id=f"cut-{offset}", url=url, state=WorkerState.READY, key=worker.key)


def ended_well(events: list[str]) -> bool:
    return bool(events) and (events[-1] == "[DONE]" or json.loads(events[-1]).get("type") in TERMINAL)


@asynccontextmanager
async def cut_at(gateway: Gateway, worker: FakeWorker) -> AsyncIterator[Any]:
    """A function that makes every answer end after so many bytes, in the way that it is told."""
    async with proxying(("127.0.0.1", worker.port)) as proxy:
        gateway.publish(model(proxied(worker, proxy.url, 0)))

        def cut(offset: int, ending: Ending) -> None:
            proxy.become(Faults(to_client=Way(cut_after=offset, ending=ending)))

        yield cut


def some(size: int, edge: int) -> Iterable[int]:
    """All offsets at most `edge` from the ends of a stream, and what chance picks of its middle."""
    middle = range(edge, size - edge)
    picked = random.Random(SEED).sample(middle, min(SAMPLE, len(middle)))
    return sorted({*range(min(edge, size)), *picked, *range(max(0, size - edge), size)})


@pytest.mark.parametrize("ending", [Ending.FIN, Ending.RESET])
@pytest.mark.parametrize(("dialect", "path"), STREAMS)
async def test_a_stream_cut_at_any_byte_is_never_a_silent_success(
    gateway: Gateway, workers: dict[str, FakeWorker], dialect: str, path: str, ending: Ending
):
    """Exactly one terminal event, or a status; a half event is never forwarded; no word is lost before the cut."""
    body = ASK | QUESTIONS[path] | {"model": "small"}
    size = await size_of_answer(gateway, workers[dialect], path, body)
    async with cut_at(gateway, workers[dialect]) as cut:
        for offset in range(size) if ending is Ending.FIN else some(size, edge=100):
            cut(offset, ending)
            check(await ask(gateway.port, post(path, body)), f"{path} cut at {offset} of {size} by {ending}")


def check(heard: Transcript, where: str) -> None:
    """An honest failure, or all of it."""
    assert heard.end is End.COMPLETE, (where, heard)
    if heard.status != 200:
        assert (heard.status, heard.json()["error"]["code"]) == (502, "worker_failed"), (where, heard)
        return
    well = ended_well(heard.events)
    assert heard.half == "", (where, heard)
    assert len(heard.errors) + well == 1, (where, heard)
    words = text_of(heard.events)
    assert (inspect(words, TOKENS) if well else inspect_part(words)).clean, (where, heard)


@pytest.mark.parametrize("dialect", ["vllm", *OTHERS])
async def test_the_openai_client_raises_or_has_it_all(
    gateway: Gateway, workers: dict[str, FakeWorker], async_client: openai.AsyncOpenAI, dialect: str
):
    """The judge that matters: what a user's program sees, which has asked for the usage too."""
    body = ASK | QUESTIONS[CHAT] | STREAMED
    size = await size_of_answer(gateway, workers[dialect], CHAT, body | {"model": "small"})
    async with cut_at(gateway, workers[dialect]) as cut:
        for offset in some(size, edge=300):
            cut(offset, Ending.FIN)
            text, usage, error = "", None, None
            try:
                stream = await async_client.chat.completions.create(
                    model="small", extra_body={"x_fake": body["x_fake"]}, **QUESTIONS[CHAT], **STREAMED
                )
                async for chunk in stream:
                    usage = chunk.usage
                    text += "".join(each.delta.content or "" for each in chunk.choices)
            except openai.APIError as raised:
                error = raised
            complete = inspect(text, TOKENS).clean and usage is not None and usage.completion_tokens == TOKENS
            assert error is not None or complete, f"a silently short answer at byte {offset} of {size}: {text!r}"
            assert inspect_part(text).clean


@pytest.mark.parametrize("fault", [{"abort_at": 2}, {"error_at": 2}])
@pytest.mark.parametrize(("dialect", "path"), [each for each in STREAMS if each[1] in {CHAT, COMPLETIONS}])
async def test_an_engine_that_gives_up_is_never_believed(
    gateway: Gateway, workers: dict[str, FakeWorker], dialect: str, path: str, fault: dict[str, int]
):
    """Each engine ends such a stream as if all were well, down to its `[DONE]`."""
    gateway.publish(model(workers[dialect]))
    heard = await ask(gateway.port, post(path, QUESTIONS[path] | STREAMED | {"model": "small", "x_fake": fault}))
    assert (heard.status, heard.end, heard.done, heard.half) == (200, End.COMPLETE, 0, "")
    assert [error["code"] for error in heard.errors] == ["worker_failed"]
    assert inspect(text_of(heard.events), 2).clean
