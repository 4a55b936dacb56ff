"""The stream is cut at every byte offset: the client gets the whole answer or an exception, never a short answer.

A fault proxy stands between gateway and worker and ends each answer after so many bytes, for each kind of stream, by
FIN and by RST. The judge is the official openai client, and a raw client beside it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest

from registry.snapshot import WorkerState, WorkerView
from tests.faults.client import End, ask, calling, post
from tests.faults.proxy import Ending, Faults, Way, proxying
from tests.faults.verify import inspect, inspect_part, text_of
from tests.processes import FakeWorker, Gateway, model

TOKENS = 3
ASK: dict[str, Any] = {"stream": True, "x_fake": {"tokens": TOKENS, "close": True}}
DIALECTS = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "hi"}]},
    "/v1/completions": {"prompt": "hi"},
    "/v1/responses": {"input": "hi"},
    "/v1/messages": {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 100},
}
TERMINAL = {"response.completed", "message_stop"}
"""What ends a stream well where it is not `[DONE]`."""


async def size_of_answer(worker: FakeWorker, path: str, body: dict) -> int:
    """How many bytes the worker sends for `body`, head included."""
    key = {"authorization": f"Bearer {worker.key}", "host": "x"}
    async with calling(worker.port, post(path, body, key)) as conversation:
        heard = await conversation.hear()
    assert heard.end is End.COMPLETE
    reader, writer = await asyncio.open_connection("127.0.0.1", worker.port)
    writer.write(post(path, body, key))
    size = len(await reader.read(-1))
    writer.close()
    return size


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


@pytest.mark.parametrize("ending", [Ending.FIN, Ending.RESET])
@pytest.mark.parametrize("path", DIALECTS)
async def test_a_stream_cut_at_any_byte_is_never_a_silent_success(
    gateway: Gateway, worker: FakeWorker, path: str, ending: Ending
):
    """Exactly one terminal event, or a status; a half event is never forwarded; no word is lost before the cut."""
    body = ASK | DIALECTS[path] | {"model": "small"}
    size = await size_of_answer(worker, path, body)
    async with cut_at(gateway, worker) as cut:
        for offset in range(size):
            cut(offset, ending)
            heard = await ask(gateway.port, post(path, body))
            where = f"{path} cut at {offset} of {size} by {ending}: {heard}"
            assert heard.end is End.COMPLETE, where
            if heard.status != 200:
                assert (heard.status, heard.json()["error"]["code"]) == (502, "worker_failed"), where
                continue
            assert heard.half == "", where
            assert len(heard.errors) + ended_well(heard.events) == 1, where
            words = text_of(heard.events)
            assert (inspect(words, TOKENS) if ended_well(heard.events) else inspect_part(words)).clean, where


async def test_the_openai_client_raises_or_has_it_all(
    gateway: Gateway, worker: FakeWorker, async_client: openai.AsyncOpenAI
):
    """The judge that matters: what a user's program sees, at every offset."""
    body = ASK | DIALECTS["/v1/chat/completions"]
    script = {"x_fake": body["x_fake"]}
    size = await size_of_answer(worker, "/v1/chat/completions", body | {"model": "small"})
    async with cut_at(gateway, worker) as cut:
        for offset in range(size):
            cut(offset, Ending.FIN)
            text, error = "", None
            try:
                stream = await async_client.chat.completions.create(
                    model="small", messages=body["messages"], stream=True, extra_body=script
                )
                async for chunk in stream:
                    text += "".join(each.delta.content or "" for each in chunk.choices)
            except openai.APIError as raised:
                error = raised
            complete = inspect(text, TOKENS).clean
            assert error is not None or complete, f"a silently short answer at byte {offset} of {size}: {text!r}"
            assert inspect_part(text).clean
