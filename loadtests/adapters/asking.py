"""The load: a trace's requests, each at its time, through the gateway. Used by `__main__`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import httpx
import msgspec

from loadtests.adapters.traces import Trace
from loadtests.words import said

TOKENS: Final = 12
"""Of each answer, exactly."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One request's figures, in seconds from its time in the trace; `wrong`: another adapter's word was in it."""

    adapter: str
    ttft: float
    took: float
    wrong: bool = False
    error: str = ""


async def answered(url: str, model: str, trace: Trace, words: Mapping[str, str]) -> Sequence[Answer]:
    """All of a trace, to the last answer; `words` gives the adapter for each of the trace's names."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
    began = time.monotonic()
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=300, limits=limits) as client:

        async def one(at: float, word: str) -> Answer:
            await asyncio.sleep(began + at - time.monotonic())
            try:
                return await _asked(client, model, word, began + at)
            except httpx.HTTPError as error:
                return Answer(word, 0.0, time.monotonic() - began - at, error=str(error))

        return await asyncio.gather(*(one(ask.at, words[ask.adapter]) for ask in trace))


async def _asked(client: httpx.AsyncClient, model: str, word: str, began: float) -> Answer:
    body = {"model": f"{model}:{word}", "messages": [{"role": "user", "content": "Say something."}], "stream": True}
    steady = {"max_tokens": TOKENS, "temperature": 0, "ignore_eos": True}
    first, text, ended = 0.0, "", False
    async with client.stream("POST", "/v1/chat/completions", json=body | steady) as response:
        if response.is_error:
            raise httpx.HTTPError(f"{response.status_code} {(await response.aread()).decode()}")
        async for line in response.aiter_lines():
            ended = ended or line == "data: [DONE]"
            if not line.startswith("data: {"):
                continue
            event = msgspec.json.decode(line[6:])
            if "error" in event:
                raise httpx.HTTPError(str(event["error"]))
            content = "".join(choice["delta"].get("content") or "" for choice in event["choices"])
            first = first or (time.monotonic() if content else 0.0)
            text += content
    if not ended:
        raise httpx.HTTPError("the stream broke off")
    now = time.monotonic()
    return Answer(word, round((first or now) - began, 3), round(now - began, 3), bool(set(said(text)) - {word}))
