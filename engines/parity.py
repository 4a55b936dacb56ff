"""How alike two pools answer: the questions that both are asked, and the comparison of what they said. Pure.

Called by `engines.supervisor.parity` at each swap. All greedy, so that one pool asked twice says the same, but for
rounding: engines round differently when they batch differently.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

TOKENS: Final = 24
"""Of each answer, at most."""

_TEXTS: Final = {
    "fact": "The capital of France is",
    "list": "The days of the week are Monday, Tuesday,",
    "prose": "Once upon a time, in a small village by the sea, there lived",
    "code": "def add(a, b):\n    return",
    "number": "1, 2, 3, 4, 5, 6,",
}
_TOOL: Final = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
_GREEDY: Final = {"max_tokens": TOKENS, "temperature": 0, "seed": 0}


@dataclass(frozen=True, slots=True)
class Question:
    """One request that both pools get; `name` is for the report."""

    name: str
    path: str
    fields: Mapping[str, Any]

    def body(self, served_name: str) -> bytes:
        """The request for a worker that calls the model so."""
        return msgspec.json.encode({"model": served_name, **self.fields})


QUESTIONS: Final = (
    *(Question(name, "/v1/completions", {"prompt": text, **_GREEDY}) for name, text in _TEXTS.items()),
    Question(
        "tool",
        "/v1/chat/completions",
        {
            "messages": [{"role": "user", "content": "What is the weather in Paris?"}],
            "tools": [_TOOL],
            "tool_choice": {"type": "function", "function": {"name": "weather"}},
            **_GREEDY,
            "max_tokens": 2 * TOKENS,
        },
    ),
)


class Answer(msgspec.Struct, frozen=True):
    """What one pool said. Empty `tokens` and a `finish`: it said nothing; no `finish`: it was not to be had."""

    tokens: tuple[str, ...] = ()
    """Ids where the engine tells them, else words."""
    finish: str = ""
    usage: tuple[int, int] = (0, 0)
    """Tokens of prompt and answer."""
    tool_valid: bool | None = None
    """Whether what was to be a call of the tool is one; None: it was not asked for."""


class Compared(msgspec.Struct, frozen=True):
    """One question's two answers."""

    question: str
    agreement: float
    """Tokens up to the first that differs, as a part of the longer answer."""
    same_finish: bool
    same_usage: bool
    tool_valid: tuple[bool | None, bool | None]
    """Before and after."""


class Report(msgspec.Struct, frozen=True):
    """All that both pools answered. `agreement` is the mean; None: there was nothing to compare."""

    compared: tuple[Compared, ...] = ()
    agreement: float | None = None
    unanswered: tuple[str, ...] = ()
    """Questions that the new pool did not answer and the old one did: each counts as no agreement."""

    def __str__(self) -> str:
        if self.agreement is None:
            return "parity unknown: the old workers answered nothing that could be compared"
        total = len(self.compared) + len(self.unanswered)
        same = sum(each.agreement == 1 for each in self.compared)
        finish = sum(each.same_finish for each in self.compared)
        usage = sum(each.same_usage for each in self.compared)
        worse = sum(each.tool_valid == (True, False) for each in self.compared)
        parts = [f"{same} of {total} answers the same", f"finish reasons {finish}", f"usage {usage}"]
        parts += [f"{worse} valid tool calls lost"] if worse else []
        parts += [f"unanswered: {', '.join(self.unanswered)}"] if self.unanswered else []
        return f"token agreement {self.agreement:.2f} ({', '.join(parts)})"


def read(question: Question, answer: bytes) -> Answer | None:
    """What a worker's JSON answer says; None: it is no answer."""
    try:
        found = json.loads(answer)
        choice, usage = found["choices"][0], found.get("usage") or {}
        message = choice.get("message") or {}
        text = choice.get("text") if "text" in choice else message.get("content") or ""
        ids = choice.get("token_ids") or str(text).split()
        counted = (int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0))
        valid = _is_call(message) if "tools" in question.fields else None
        return Answer(tuple(map(str, ids)), str(choice.get("finish_reason")), counted, valid)
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def compare(before: Mapping[str, Answer], after: Mapping[str, Answer]) -> Report:
    """By question; what the old pool did not answer (a base model has no chat) is asked of nobody."""
    compared = tuple(_compared(name, old, after[name]) for name, old in before.items() if name in after)
    unanswered = tuple(name for name in before if name not in after)
    count = len(compared) + len(unanswered)
    agreement = sum(each.agreement for each in compared) / count if count else None
    return Report(compared, agreement, unanswered)


def _compared(name: str, old: Answer, new: Answer) -> Compared:
    longer = max(len(old.tokens), len(new.tokens))
    agreement = _shared(old.tokens, new.tokens) / longer if longer else 1.0
    tools = (old.tool_valid, new.tool_valid)
    return Compared(name, agreement, old.finish == new.finish, old.usage == new.usage, tools)


def _shared(one: Sequence[str], other: Sequence[str]) -> int:
    """How many stand at the beginning of both."""
    pairs = zip(one, other, strict=False)
    return next((place for place, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _is_call(message: Mapping[str, Any]) -> bool:
    """Whether it calls the tool that it was given, with what that takes."""
    try:
        called = message["tool_calls"][0]["function"]
        arguments = json.loads(called["arguments"])
        return called["name"] == "weather" and isinstance(arguments["city"], str)
    except (ValueError, LookupError, TypeError):
        return False
