"""A candidate is asked what a client was answered: on what nobody wants, compared, counted, thrown away."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from gateway.shadowing import Heard, understood
from registry.adapters import AdapterView, Canary, Share, encode
from tests.unit.gateway.api.test_inference import desk_at
from tests.unit.gateway.builders import (
    WHOLE_STREAM,
    cancelled,
    chunked,
    http,
    model_view,
    snapshot,
    sse,
    turns,
    worker_view,
)
from tests.unit.gateway.scripted import says
from tests.waiting import eventually

A, B = "a" * 64, "b" * 64
SERVED = tuple(f"m:cat@{each[:16]}" for each in (A, B))


def answer(text="Hello", finish="stop"):
    return http(msgspec.json.encode({"choices": [{"message": {"content": text}, "finish_reason": finish}]}))


def show(desk, resident=SERVED, **worker):
    """All requests are mirrored."""
    view = AdapterView("m", "cat", A, (A, B), canary=Canary((Share(A, 1),), shadow=Share(B, 100)))
    workers = (worker_view(port=desk.worker.port, resident=resident, **worker),)
    desk.house.publish(
        snapshot(model_view(*workers, adapter_slots=4), revision=2, adapters=msgspec.Raw(encode([view])))
    )


def counts(desk):
    (family,) = desk.shadows.families()
    return {sample.labels["outcome"]: sample.value for sample in family.samples if sample.name.endswith("_total")}


async def mirrored(desk, body=b'{"model":"m:cat","temperature":0}'):
    """A client's whole request, and then what its shadow came to."""
    running = asyncio.get_running_loop().create_task(desk.shadows.run())
    try:
        outbox = await desk.ask(body)
        await eventually(lambda: counts(desk))
    finally:
        await cancelled(running)
    return outbox


CASES = [
    (answer(), "same"),
    (answer("Hi"), "other_text"),
    (answer("Hello", "length"), "other_finish"),
    (http(b"{}", 500), "failed"),
    (http(b"not json"), "failed"),
]


@pytest.mark.parametrize(("candidates", "outcome"), CASES)
async def test_answers_are_compared_and_counted(candidates, outcome):
    """The client has its own already, whatever comes of the other one, and no worker is to blame for that."""
    async with desk_at(says(answer()), says(candidates)) as desk:
        show(desk)
        outbox = await mirrored(desk)
        assert (outbox.status, b"Hello" in outbox.body, counts(desk)) == (200, True, {outcome: 1})
        assert desk.house.pools[0].active == 0


async def test_a_stream_is_compared_with_a_whole_answer():
    """The candidate is asked for one: nobody reads along."""
    async with desk_at(says(chunked(WHOLE_STREAM)), says(answer())) as desk:
        show(desk)
        outbox = await mirrored(desk, b'{"model":"m:cat","stream":true,"stream_options":{"include_usage":true}}')
        assert (outbox.body.count(b"[DONE]"), counts(desk)) == (1, {"same": 1})
        assert b"stream" not in desk.worker.requests[1].partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("worker", [{"resident": SERVED[:1]}, {"capacity": 1}])
async def test_what_is_wanted_by_others_is_not_taken(worker):
    """A worker that lacks the candidate, or would be more than half full."""
    async with desk_at(says(answer())) as desk:
        show(desk, **worker)
        await mirrored(desk)
        assert (counts(desk), len(desk.worker.requests)) == ({"skipped": 1}, 1)


async def test_what_goes_wrong_for_the_client_is_not_mirrored():
    async with desk_at(says(http(b'{"error":{"message":"no"}}', 400))) as desk:
        show(desk)
        with pytest.raises(Exception, match="no"):
            await desk.ask(b'{"model":"m:cat"}')
        await turns()
        assert counts(desk) == {}


def test_an_answer_is_the_same_streamed_or_whole():
    events = sse({"choices": [{"delta": {"role": "assistant"}}]}, {"choices": [{"delta": {"content": "Hel"}}]})
    events += b": waiting\n\n" + sse({"choices": [{"delta": {"content": "lo"}, "finish_reason": "stop"}]}, "[DONE]")
    assert understood(events) == Heard("Hello", "stop")
    assert understood(b'{"choices":[{"text":"Hello","finish_reason":"stop"}]}') == Heard("Hello", "stop")
