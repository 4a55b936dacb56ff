"""What the official openai client sees: it is used here as anyone uses it, sync and async, against a real gateway.

The fake engine stands behind the gateway; `x_fake` in `extra_body` scripts what it does with that one request.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

import openai
import pytest

from engines.fake.words import verify
from registry.snapshot import QueueLimits, Timeouts
from tests.faults.client import calling, post
from tests.faults.verify import inspect_part
from tests.processes import FakeWorker, Gateway, model
from tests.waiting import eventually

ASK = {"model": "small", "messages": [{"role": "user", "content": "one two three"}]}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}}


@dataclass
class Received:
    """All chunks of one stream, and the exception that ended it, if one did."""

    chunks: list[Any] = field(default_factory=list)
    error: openai.APIError | None = None

    @property
    def text(self) -> str:
        choices = [choice for chunk in self.chunks for choice in chunk.choices if choice.index == 0]
        return "".join((each.delta.content if hasattr(each, "delta") else each.text) or "" for each in choices)

    @property
    def finishes(self) -> list[str]:
        return [each.finish_reason for chunk in self.chunks for each in chunk.choices if each.finish_reason]

    @property
    def usages(self) -> list[Any]:
        return [chunk.usage for chunk in self.chunks if chunk.usage is not None]


Call = Callable[..., Awaitable[Any]]


@pytest.fixture(params=["sync", "async"])
async def call(request, client: openai.OpenAI, async_client: openai.AsyncOpenAI) -> Call:
    """A method of either client by its dotted name: each test runs with the sync and with the async client."""

    async def by_sync(method: str, **arguments: Any) -> Any:
        return await asyncio.to_thread(attrgetter(method)(client), **arguments)

    async def by_async(method: str, **arguments: Any) -> Any:
        return await attrgetter(method)(async_client)(**arguments)

    return by_sync if request.param == "sync" else by_async


async def received(opened: Any) -> Received:
    """Read a stream of either client to its end, whatever that is."""
    got = Received()
    try:
        async for chunk in _chunks(opened):
            got.chunks.append(chunk)
    except openai.APIError as error:
        got.error = error
    return got


async def _chunks(opened: Any) -> AsyncIterator[Any]:
    if isinstance(opened, openai.AsyncStream):
        async for chunk in opened:
            yield chunk
    else:
        for chunk in opened:
            yield chunk


async def streamed(call: Call, **arguments: Any) -> Received:
    """A chat stream; what breaks so early that the answer is a status counts as an error of the stream too."""
    try:
        return await received(await call("chat.completions.create", **ASK | {"stream": True} | arguments))
    except openai.InternalServerError as error:
        return Received(error=error)


# ---- answers


async def test_a_chat_is_answered_whole(call: Call):
    """Text, finish reason and usage are the engine's own."""
    answer = await call("chat.completions.create", **ASK, max_tokens=7)
    assert verify(answer.choices[0].message.content) == 7
    assert answer.choices[0].finish_reason == "length"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (3, 7)


async def test_a_stream_carries_every_token_once_and_one_finish(call: Call):
    """No usage comes to a client that did not ask, though the gateway asks the engine for it."""
    got = await streamed(call)
    assert (verify(got.text), got.finishes, got.usages, got.error) == (16, ["stop"], [], None)


async def test_a_stream_carries_the_usage_that_was_asked_for(call: Call):
    """One last chunk without choices, as OpenAI sends it; the figures are those of the whole answer."""
    got = await streamed(call, stream_options={"include_usage": True})
    assert got.chunks[-1].choices == []
    assert [(each.prompt_tokens, each.completion_tokens) for each in got.usages] == [(3, 16)]


async def test_the_gateway_counts_tokens_either_way(call: Call, gateway: Gateway):
    """`enginehouse_tokens_total` grows by the engine's own figures, whether or not the client wanted to see them."""
    before = gateway.metric("enginehouse_tokens_total", kind="completion")
    await streamed(call)
    await call("chat.completions.create", **ASK, max_tokens=4)
    await eventually(lambda: gateway.metric("enginehouse_tokens_total", kind="completion") == before + 20)


async def test_completions_work_whole_and_streamed(call: Call):
    """The older endpoint is relayed by the same code."""
    ask = {"model": "small", "prompt": "one two", "max_tokens": 5}
    whole = await call("completions.create", **ask)
    got = await received(await call("completions.create", **ask, stream=True))
    assert verify(whole.choices[0].text) == verify(got.text) == 5
    assert got.finishes == ["length"]


async def test_an_alias_is_answered_by_its_model(call: Call, worker: FakeWorker):
    """The worker knows its served name only: that is what it is asked for."""
    await call("chat.completions.create", **ASK | {"model": "default"})
    assert json.loads(worker.last()["body"])["model"] == "small"


async def test_every_field_passes_through_untouched(call: Call, worker: FakeWorker):
    """Tools, formats, penalties, unknown fields: what the client sends is what the engine gets."""
    fields = {
        "frequency_penalty": 0.5,
        "logit_bias": {"42": -100},
        "logprobs": True,
        "n": 2,
        "parallel_tool_calls": False,
        "presence_penalty": -0.25,
        "response_format": SCHEMA,
        "seed": 7,
        "stop": ["\n", "ü"],
        "temperature": 0.1,
        "tool_choice": "auto",
        "tools": [TOOL],
        "top_logprobs": 3,
        "top_p": 0.9,
        "user": "ann",
    }
    await call("chat.completions.create", **ASK, **fields, extra_body={"min_p": 0.05, "structured_outputs": None})
    assert json.loads(worker.last()["body"]) == ASK | fields | {"min_p": 0.05, "structured_outputs": None}


async def test_a_forced_tool_is_called(call: Call):
    """The answer's tool call comes back as the client's own type."""
    choice = {"type": "function", "function": {"name": "weather"}}
    answer = await call("chat.completions.create", **ASK, tools=[TOOL], tool_choice=choice)
    assert answer.choices[0].message.tool_calls[0].function.name == "weather"


async def test_a_streamed_tool_call_comes_through(call: Call):
    """A tool delta is content too: it begins the stream."""
    got = await streamed(call, tools=[TOOL], tool_choice="required")
    names = [tool.function.name for chunk in got.chunks for tool in chunk.choices[0].delta.tool_calls or ()]
    assert names[0] == "weather"
    assert got.error is None


async def test_two_choices_and_their_logprobs(call: Call):
    """`n` and `logprobs` change the answer's shape, not the relay."""
    whole = await call("chat.completions.create", **ASK, n=2, logprobs=True, max_tokens=3)
    assert [choice.index for choice in whole.choices] == [0, 1]
    assert len(whole.choices[1].logprobs.content) == 3
    got = await streamed(call, n=2, logprobs=True, max_tokens=3)
    assert sorted(each.index for chunk in got.chunks for each in chunk.choices if each.finish_reason) == [0, 1]


async def test_responses_work_whole_and_streamed(call: Call):
    """The Responses API has named events and a terminal event of its own."""
    ask = {"model": "small", "input": "one two", "max_output_tokens": 5}
    whole = await call("responses.create", **ask)
    assert verify(whole.output_text) == 5
    events = [event async for event in _chunks(await call("responses.create", **ask, stream=True))]
    assert events[-1].type == "response.completed"
    assert verify("".join(each.delta for each in events if each.type == "response.output_text.delta")) == 5


# ---- models


async def test_models_and_aliases_are_listed_and_found(client: openai.OpenAI, async_client: openai.AsyncOpenAI):
    """Names exactly as the registry has them."""
    assert [each.id for each in client.models.list()] == ["small", "default"]
    assert [each.id async for each in async_client.models.list()] == ["small", "default"]
    assert client.models.retrieve("default").id == "default"


@pytest.mark.parametrize("method", ["chat.completions.create", "models.retrieve"])
async def test_an_unknown_model_is_not_found_and_the_known_ones_are_named(call: Call, method: str):
    """`openai.NotFoundError` with OpenAI's own code, whatever the endpoint."""
    arguments = {"model": "gpt-9"} if method == "models.retrieve" else ASK | {"model": "gpt-9"}
    with pytest.raises(openai.NotFoundError) as raised:
        await call(method, **arguments)
    assert (raised.value.code, raised.value.param, raised.value.type) == (
        "model_not_found",
        "model",
        "invalid_request_error",
    )
    assert "small, default" in raised.value.message


async def test_embeddings_are_clearly_refused(call: Call):
    """The engine of a generative model does not embed: 501, which path, which model."""
    with pytest.raises(openai.APIStatusError) as raised:
        await call("embeddings.create", model="small", input="x")
    assert (raised.value.status_code, raised.value.code) == (501, "unsupported_path")
    assert "/v1/embeddings" in raised.value.message


async def test_answers_carry_a_request_id_and_times(client: openai.OpenAI):
    """`_request_id` is what the client library shows; the times are OpenAI's header."""
    raw = client.chat.completions.with_raw_response.create(**ASK)
    assert raw.parse()._request_id == raw.headers["x-request-id"]
    assert int(raw.headers["openai-processing-ms"]) >= 0
    assert "queue;dur=" in raw.headers["server-timing"]


# ---- refusals and failures


async def test_the_engines_refusal_comes_once_in_our_shape(call: Call):
    """VLLM's `code` is a number, which clients misread; ours is a string or null."""
    with pytest.raises(openai.BadRequestError) as raised:
        await call("chat.completions.create", **ASK, max_tokens=-1)
    assert raised.value.body["code"] is None
    assert raised.value.body["param"] == "max_tokens"
    assert raised.value.body["message"] == "max_tokens must be at least 1, got -1."


async def test_a_full_queue_is_a_rate_limit(call: Call, gateway: Gateway, worker: FakeWorker):
    """429 `queue_full` with `Retry-After`: the client library knows what to do with it."""
    gateway.publish(model(worker.view(capacity=1), queue=QueueLimits(limit=0)))
    async with calling(gateway.port, post("/v1/chat/completions", ASK | {"x_fake": {"ttft": 60}})):
        await eventually(lambda: worker.counts()["running"] == 1)
        with pytest.raises(openai.RateLimitError) as raised:
            await call("chat.completions.create", **ASK)
    assert raised.value.code == "queue_full"
    assert int(raised.value.response.headers["retry-after"]) >= 1


async def test_a_model_that_loads_is_unavailable_with_a_hint(call: Call, gateway: Gateway):
    """503 `no_worker` and `Retry-After` while the only worker is down."""
    gateway.publish(model())
    with pytest.raises(openai.InternalServerError) as raised:
        await call("chat.completions.create", **ASK)
    assert (raised.value.status_code, raised.value.code) == (503, "no_worker")
    assert "retry-after" in raised.value.response.headers


@pytest.mark.parametrize(
    ("timeouts", "stream", "code"),
    [(Timeouts(first_token=0.2), True, "first_token_timeout"), (Timeouts(answer=0.2), False, "answer_timeout")],
)
async def test_a_silent_worker_is_a_gateway_timeout(
    call: Call, gateway: Gateway, worker: FakeWorker, timeouts: Timeouts, stream: object, code: str
):
    """Nothing has been sent to the client yet, so it gets a real status."""
    gateway.publish(model(worker, timeouts=timeouts))
    with pytest.raises(openai.InternalServerError) as raised:
        await call("chat.completions.create", **ASK, stream=stream, extra_body={"x_fake": {"ttft": 60}})
    assert (raised.value.status_code, raised.value.code) == (504, code)


async def test_a_stream_that_stands_still_ends_in_an_exception(call: Call, gateway: Gateway, worker: FakeWorker):
    """After the first byte there is only the error event; the client raises it."""
    gateway.publish(model(worker, timeouts=Timeouts(idle=1.0)))
    got = await streamed(call, extra_body={"x_fake": {"hang_at": 4}})
    assert (verify(got.text), got.finishes) == (4, [])
    assert got.error is not None
    assert got.error.code == "idle_timeout"


DEATHS = {
    "cut in an event": {"truncate_at": 5},
    "reset in an event": {"truncate_at": 5, "reset": True},
    "aborted by SIGTERM": {"abort_at": 5},
    "engine error event": {"error_at": 5},
    "malformed event": {"malformed_at": 5},
    "bad UTF-8": {"bad_utf8_at": 5},
    "lying chunk header": {"bad_chunk_at": 7},
    "no [DONE]": {"no_done": True},
}


@pytest.mark.parametrize("fault", DEATHS.values(), ids=DEATHS.keys())
async def test_a_broken_stream_is_an_exception_never_a_short_answer(call: Call, fault: dict):
    """The openai client ends silently on a bare end of file; so the gateway never lets it see one."""
    got = await streamed(call, extra_body={"x_fake": fault})
    assert inspect_part(got.text).clean
    assert got.error is not None
    assert got.error.code == "worker_failed"


@pytest.mark.parametrize("fault", [{"wrong_length": 10}, {"abort_at": 3}, {"status": 500}, {"cut_at": 200}])
async def test_a_broken_answer_is_a_bad_gateway(call: Call, fault: dict):
    """Not streaming: 502, because nothing had been sent."""
    with pytest.raises(openai.InternalServerError) as raised:
        await call("chat.completions.create", **ASK, extra_body={"x_fake": fault})
    assert (raised.value.status_code, raised.value.code) == (502, "worker_failed")
