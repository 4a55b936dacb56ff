"""Tokens: what clients are told, what the gateway counts and what the engine counts are the same numbers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.real.house import MODEL, QUESTION, House
from tests.waiting import until

pytestmark = [pytest.mark.real, pytest.mark.timeout(1800)]

CHAT = {"model": MODEL, "messages": QUESTION, "max_tokens": 12, "temperature": 0}
REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", CHAT),
    "stream": ("/v1/chat/completions", CHAT | {"stream": True}),
    "stream with usage": ("/v1/chat/completions", CHAT | {"stream": True, "stream_options": {"include_usage": True}}),
    "completion": ("/v1/completions", {"model": MODEL, "prompt": "Paris is", "max_tokens": 7}),
    "streamed completion": ("/v1/completions", {"model": MODEL, "prompt": "Rome is", "max_tokens": 7, "stream": True}),
    "response": ("/v1/responses", {"model": MODEL, "input": "Hello", "max_output_tokens": 9}),
    "streamed response": ("/v1/responses", {"model": MODEL, "input": "Hello", "max_output_tokens": 9, "stream": True}),
    "message": ("/v1/messages", CHAT),
    "streamed message": ("/v1/messages", CHAT | {"stream": True}),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_the_gateway_counts_what_the_engine_counts(house: House, name: str):
    """Also where a client did not ask for usage."""
    path, body = REQUESTS[name]
    ours, theirs = counted_by_the_gateway(house), counted_by_the_engine(house)
    assert house.http.post(path, json=body).status_code == 200
    until(lambda: counted_by_the_gateway(house) != ours, what="the gateway's count")
    grown = [after - before for before, after in zip(ours, counted_by_the_gateway(house), strict=True)]
    assert all(grown), grown

    def same() -> bool:
        return [after - before for before, after in zip(theirs, counted_by_the_engine(house), strict=True)] == grown

    until(same, what=f"the engine to have counted {grown}; it had {theirs}, has {counted_by_the_engine(house)}")


def test_two_choices_cost_two_answers_and_one_prompt(house: House):
    """As OpenAI bills it; the client is told the same sums."""
    ours = counted_by_the_gateway(house)
    usage = house.chat(n=2, temperature=1).json()["usage"]
    due = [before + usage[f"{kind}_tokens"] for before, kind in zip(ours, ("prompt", "completion"), strict=True)]
    # A request is counted when its answer has been written: a moment after the client has read it.
    until(lambda: counted_by_the_gateway(house)[1] >= due[1], what="the gateway's count")
    assert counted_by_the_gateway(house) == due


def counted_by_the_gateway(house: House) -> list[float]:
    """Prompt tokens, answer tokens."""
    return [house.metric("enginehouse_tokens_total", model=MODEL, kind=kind) for kind in ("prompt", "completion")]


def counted_by_the_engine(house: House) -> list[float]:
    return [house.engine(f"vllm:{kind}_tokens_total") for kind in ("prompt", "generation")]
