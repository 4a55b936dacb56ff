"""One generation, decided before it begins: what will be said, how long, and under which name. Pure.

The dialects turn a `Job` into an engine's JSON; `app` paces it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from engines.fake.behaviour import Behaviour
from engines.fake.words import Vocabulary, half_id, next_number, spoken, word

_LENGTH_FIELDS: Final = ("max_completion_tokens", "max_tokens", "max_output_tokens")


class Refused(Exception):
    """The engine's own 4xx: how it is answered."""

    def __init__(self, status: int, message: str, kind: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status: Final = status
        self.message: Final = message
        self.kind: Final = kind
        self.param: Final = param


class _Typed(msgspec.Struct):
    """The types that every engine's own schema asks of a body, as far as they matter here."""

    messages: list[dict[str, Any]] = []
    stream_options: dict[str, Any] | None = None
    tools: list[dict[str, Any]] | None = None
    seed: int | None = None
    temperature: float | None = None
    stop: str | list[str] | None = None
    user: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """What one request will get."""

    id: str
    created: int
    model: str
    path: str
    prompt_ids: Sequence[int]
    words: Sequence[str]
    """The text of each token; empty for half a word."""
    ids: Sequence[int]
    """The id of each token."""
    finish: str
    """`stop` or `length`."""
    choices: int = 1
    stream: bool = False
    usage: bool = False
    continuous_usage: bool = False
    logprobs: bool = False
    token_ids: bool = False
    tool: str | None = None
    """The function that the request forces to be called."""

    def usage_of(self, made: int) -> dict[str, int]:
        """The engine's usage object after `made` tokens in all choices together."""
        prompt = len(self.prompt_ids)
        return {"prompt_tokens": prompt, "total_tokens": prompt + made, "completion_tokens": made}


@dataclass(frozen=True, slots=True)
class Worker:
    """What bounds every job of one worker."""

    served_name: str
    context: int
    vocabulary: Vocabulary
    too_long: Callable[[int, int], Refused]
    """The refusal of a prompt by the context and the prompt's length, in tokens."""


def plan(path: str, body: Mapping[str, Any], *, worker: Worker, script: Behaviour, job_id: str, created: int) -> Job:
    """The job that `body` asks for. Raises `Refused` for what the engine refuses."""
    _check(body)
    ids = prompt_ids(body, worker.vocabulary)
    if len(ids) > worker.context:
        raise worker.too_long(worker.context, len(ids))
    bound = _bound(body)
    model = body.get("model") or worker.served_name
    voice = script.voice or ("" if model == worker.served_name else model)
    said = spoken(ids) if script.halves else next_number(worker.vocabulary.decode(ids)) - 1
    wanted = max(0, script.tokens - said)
    length = wanted if bound is None else min(wanted, bound)
    tokens = [_token(number, body.get("seed") or 0, voice, script) for number in range(said, said + length)]
    options = body.get("stream_options") or {}
    return Job(
        id=job_id,
        created=created,
        model=model,
        path=path,
        prompt_ids=ids,
        words=[text for text, _ in tokens],
        ids=[each for _, each in tokens],
        finish="stop" if length == wanted else "length",
        choices=body.get("n") or 1,
        stream=bool(body.get("stream")),
        usage=bool(options.get("include_usage")),
        continuous_usage=bool(options.get("continuous_usage_stats")),
        logprobs=body.get("logprobs") not in {None, False},
        token_ids=bool(body.get("return_token_ids")),
        tool=_forced_tool(body),
    )


def _check(body: Mapping[str, Any]) -> None:
    try:
        msgspec.convert(body, _Typed)
    except msgspec.ValidationError as wrong:
        raise Refused(400, f"1 validation error: {wrong}", "BadRequestError") from wrong


def _token(index: int, key: int, voice: str, script: Behaviour) -> tuple[str, int]:
    """Text and id of token `index` (from 0) of an answer."""
    if script.halves and index % 2 == 0:
        return "", half_id(index // 2 + 1)
    number = (index // 2 if script.halves else index) + 1
    return word(number, key, voice), Vocabulary().encode(word(number, key))[0]


def prompt_ids(body: Mapping[str, Any], vocabulary: Vocabulary) -> list[int]:
    """The token ids of whatever the request calls its prompt."""
    prompt = body.get("prompt", body.get("input", ""))
    if isinstance(prompt, list) and prompt and isinstance(prompt[0], int):
        return prompt
    texts = [_text(message.get("content")) for message in body.get("messages", ())]
    texts += [_text(body.get("system", "")), _text(prompt)]
    return vocabulary.encode("\n".join(text for text in texts if text))


def _text(content: Any) -> str:
    """The text of a message's content, in OpenAI's or Anthropic's shape."""
    if isinstance(content, str):
        return content
    return "\n".join(
        part if isinstance(part, str) else _text(part.get("text", part.get("content", ""))) for part in content or ()
    )


def _bound(body: Mapping[str, Any]) -> int | None:
    for field in _LENGTH_FIELDS:
        value = body.get(field)
        if value is None:
            continue
        if not isinstance(value, int) or value < 1:
            raise Refused(400, f"{field} must be at least 1, got {value}.", "BadRequestError", field)
        return value
    return None


def _forced_tool(body: Mapping[str, Any]) -> str | None:
    choice = body.get("tool_choice")
    if isinstance(choice, dict):
        name: str = (choice.get("function") or choice)["name"]
        return name
    if choice == "required" and body.get("tools"):
        first: str = body["tools"][0]["function"]["name"]
        return first
    return None
