"""What an answer says: whether it is whole, when its tokens came, how many there were. Bytes and times in, no sockets.

`Stream` reads a streamed chat, `whole` a JSON answer. What is wrong becomes `Bad`, whose text is the short name under
which Locust counts it: an error's own code where the server gives one. Called by `asking`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from loadtests.users.sse import Lines

_LONGEST: Final = 80
"""Characters of a server's own words in a failure: Locust keeps a row for each different one."""
_SPOKEN: Final = ("content", "reasoning_content", "reasoning", "tool_calls", "refusal")
"""Fields of a delta that the user waits for; the role alone is no token."""


class Bad(Exception):
    """An answer that does not count; the text is its row in Locust's table of failures."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the server counted them."""

    prompt: int
    completion: int


class Stream:
    """One streamed chat. Invariant: good only if `finished` returned, and then it had a finish_reason and [DONE].

    Times are seconds of the caller's clock. `first` is when the first content came, `gaps` are the times between two
    chunks with content; what one read brought together is counted as it came, with gaps of next to nothing.
    """

    def __init__(self) -> None:
        self.first: float | None = None
        self.last: float | None = None
        self.gaps: Final[list[float]] = []
        self.usage: Usage | None = None
        self.done = False
        self._reason: str | None = None
        self._lines: Final = Lines()

    @property
    def chunks(self) -> int:
        """How many chunks with content there were."""
        return len(self.gaps) + (self.first is not None)

    def take(self, line: bytes, now: float) -> None:
        """One more line, received at `now`. Raises `Bad` where the stream cannot become good any more."""
        if data := self._lines.take(line):
            self._event(data, now)

    def finished(self, now: float) -> None:
        """The server has ended the body. Raises `Bad` if anything is missing."""
        if data := self._lines.rest():
            self._event(data, now)
        if not self.done:
            raise Bad("ended without [DONE]")
        if self._reason is None:
            raise Bad("[DONE] without finish_reason")

    def _event(self, data: bytes, now: float) -> None:
        if self.done:
            return
        if data.strip() == b"[DONE]":
            self.done = True
            return
        event = _object(data, "an event that is not JSON")
        if event.get("error"):
            raise Bad(code(event))
        self.usage = usage(event) or self.usage
        choices = event.get("choices")
        if not isinstance(choices, list):
            raise Bad("an event without choices")
        for choice in choices:
            self._choice(choice, now)

    def _choice(self, choice: object, now: float) -> None:
        if not isinstance(choice, dict):
            raise Bad("a choice that is no object")
        delta = choice.get("delta")
        if isinstance(delta, dict) and any(delta.get(field) for field in _SPOKEN):
            self._spoke(now)
        if reason := choice.get("finish_reason"):
            self._reason = finish(reason)

    def _spoke(self, now: float) -> None:
        if self.last is None:
            self.first = now
        else:
            self.gaps.append(now - self.last)
        self.last = now


def whole(body: bytes) -> Usage | None:
    """The usage of a JSON answer, chat or completion. Raises `Bad` unless every choice ended as one does."""
    answer = _object(body, "an answer that is not JSON")
    if answer.get("error"):
        raise Bad(code(answer))
    choices = answer.get("choices")
    if not isinstance(choices, list) or not choices:
        raise Bad("an answer without choices")
    for choice in choices:
        if not isinstance(choice, dict):
            raise Bad("a choice that is no object")
        finish(choice.get("finish_reason"))
    return usage(answer)


def finish(reason: object) -> str:
    """`reason`, if it is how an answer may end; an engine's `abort` is a failure."""
    if not isinstance(reason, str):
        raise Bad("no finish_reason")
    if reason in {"abort", "error"}:
        raise Bad(f"finish_reason {reason}")
    return reason


def usage(answer: Mapping[str, Any]) -> Usage | None:
    """The `usage` of an answer or of an event; None where there is none that can be read."""
    found = answer.get("usage")
    if not isinstance(found, dict):
        return None
    prompt, completion = found.get("prompt_tokens"), found.get("completion_tokens")
    return Usage(prompt, completion) if isinstance(prompt, int) and isinstance(completion, int) else None


def refused(status: int, body: bytes) -> str:
    """What an answer with an error's status is counted as: the status and, where there is one, the error's code."""
    try:
        answer = json.loads(body)
    except ValueError:
        return f"HTTP {status}"
    known = isinstance(answer, dict) and answer.get("error")
    return f"HTTP {status} {code(answer)}" if known else f"HTTP {status}"


def code(answer: Mapping[str, Any]) -> str:
    """What an error in OpenAI's envelope is called: its code, else its type, else its message.

    Engines send the status as the code, which says less than the type; then it is the last choice.
    """
    error = answer["error"]
    if not isinstance(error, dict):
        return str(error)[:_LONGEST]
    named = error.get("code")
    words = (named if isinstance(named, str) else None, error.get("type"), error.get("message"), named)
    return next((str(word) for word in words if word), "an error without words")[:_LONGEST]


def _object(data: bytes, otherwise: str) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise Bad(otherwise) from None
    if not isinstance(found, dict):
        raise Bad(otherwise)
    return found
