"""The load: users who share a few system prompts and go on with their own chats. Used by `__main__`.

A closed loop: each user sends the whole chat so far, reads the answer, thinks, and goes on. Everything random comes
from a seed, so that every policy gets the same chats; a salt at the beginning keeps one trial's caches from the next.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from typing import Final

import httpx
import msgspec

_WORDS: Final = (
    *("river", "mountain", "letter", "garden", "window", "morning", "silver", "paper", "winter", "music", "harbour"),
    *("forest", "candle", "market", "bridge", "story", "teacher", "summer", "bottle", "engine", "village", "island"),
)


@dataclass(frozen=True, slots=True)
class Shape:
    """How much of everything."""

    systems: int = 8
    system_words: int = 550
    users: int = 16
    turns: int = 3
    turn_words: int = 80
    tokens: int = 16
    """Of each answer, exactly."""
    arrival: float = 0.7
    """Mean seconds between two users' first requests."""
    think: float = 1.0
    """Mean seconds between an answer and the next question."""


@dataclass(frozen=True, slots=True)
class Chat:
    """What one user will say, and the pauses before it in seconds."""

    system: str
    questions: tuple[str, ...]
    pauses: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """One request's figures, in seconds. `began` is a moment of the monotonic clock."""

    began: float
    ttft: float
    took: float
    tokens: int
    prompt_tokens: int
    turn: int


def chats(shape: Shape, seed: int, salt: str) -> tuple[Chat, ...]:
    """The chats of all users: the same for the same seed but for the salt."""
    source = random.Random(seed)
    systems = [f"{salt} {number}. {_prose(source, shape.system_words)}" for number in range(shape.systems)]
    shared = [systems[user % shape.systems] for user in range(shape.users)]
    source.shuffle(shared)
    arrived, found = 0.0, []
    for system in shared:
        arrived += source.expovariate(1 / shape.arrival)
        pauses = (arrived, *(source.expovariate(1 / shape.think) for _ in range(shape.turns - 1)))
        questions = tuple(_prose(source, shape.turn_words) for _ in range(shape.turns))
        found.append(Chat(system, questions, pauses))
    return tuple(found)


async def served(url: str, model: str, load: tuple[Chat, ...], tokens: int) -> list[Answer]:
    """Every user's chat to its end; raises `httpx.HTTPError` where one is not answered as it should be."""
    answers: list[Answer] = []
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=len(load))
    async with (
        httpx.AsyncClient(base_url=url, trust_env=False, timeout=300, limits=limits) as client,
        asyncio.TaskGroup() as users,
    ):
        for chat in load:
            users.create_task(_user(client, model, chat, tokens, answers))
    return answers


async def _user(client: httpx.AsyncClient, model: str, chat: Chat, tokens: int, answers: list[Answer]) -> None:
    messages = [{"role": "system", "content": chat.system}]
    for turn, (question, pause) in enumerate(zip(chat.questions, chat.pauses, strict=True)):
        await asyncio.sleep(pause)
        messages.append({"role": "user", "content": question})
        text, answer = await _asked(client, {"model": model, "messages": messages, "max_tokens": tokens}, turn)
        messages.append({"role": "assistant", "content": text})
        answers.append(answer)


async def _asked(client: httpx.AsyncClient, body: dict[str, object], turn: int) -> tuple[str, Answer]:
    """One streamed answer: its text and its figures."""
    steady = {"stream": True, "stream_options": {"include_usage": True}, "temperature": 0, "ignore_eos": True}
    began, first, text, usage = time.monotonic(), 0.0, "", {}
    async with client.stream("POST", "/v1/chat/completions", json=body | steady) as response:
        response.raise_for_status()
        async for line in response.aiter_lines():
            if not line.startswith("data: {"):
                continue
            event = msgspec.json.decode(line[6:])
            if "error" in event:
                raise httpx.HTTPError(str(event["error"]))
            usage = event.get("usage") or usage
            content = "".join(choice["delta"].get("content") or "" for choice in event["choices"])
            if content and not first:
                first = time.monotonic()
            text += content
    ended = time.monotonic()
    if not usage:
        raise httpx.HTTPError("a stream ended without its usage")
    figures = (usage["completion_tokens"], usage["prompt_tokens"])
    return text, Answer(round(began, 3), round((first or ended) - began, 3), round(ended - began, 3), *figures, turn)


def _prose(source: random.Random, words: int) -> str:
    return " ".join(source.choices(_WORDS, k=words)) + "."
