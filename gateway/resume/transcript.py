"""What a stream has said so far: kept as it came, understood only when it must be. Pure.

One a stream, filled by `answers` as it forwards; read by `decide` when the worker has failed, and by `joint`.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec

from gateway.resume.hiding import hide
from gateway.resume.request import Reason

LIMIT: Final = 1024 * 1024
"""Characters and token ids of one stream that are kept, at most; beyond that it is not continued."""
_CONDENSE: Final = 16 * 1024
"""Bytes of events that may wait to be understood: some seventy tokens, which cost their stream nothing if it ends
before. A token is 250 bytes on the wire and eight when it is understood."""
_MARKS: Final = 64
"""Cuts that are remembered. A cut is some tokens back at most: as many as one stop string, or one character, has."""


class Mark(NamedTuple):
    """A place where a continuation may begin: `shown` characters came from the first `tokens` tokens, or from fewer."""

    shown: int
    tokens: int


class Head(msgspec.Struct, frozen=True):
    """What every event of a stream repeats."""

    id: str = ""
    created: int = 0
    model: str = ""


class _Delta(msgspec.Struct, gc=False):
    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[Any] | None = None


class _Choice(msgspec.Struct, gc=False):
    index: int = 0
    text: str | None = None
    delta: _Delta | None = None
    finish_reason: str | None = None
    prompt_token_ids: list[int] | None = None
    token_ids: list[int] | None = None


class _Usage(msgspec.Struct, gc=False):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Event(msgspec.Struct, gc=False):
    choices: list[_Choice] = []
    usage: _Usage | None = None
    prompt_token_ids: list[int] | None = None


_HEAD: Final = msgspec.json.Decoder(Head)
_EVENT: Final = msgspec.json.Decoder(_Event)


class Transcript:
    """Invariant: `tokens` and `text` are those of the events that were forwarded, in order, each once.

    `obstacle` is set for good once something came that no continuation could follow.
    """

    __slots__ = (
        "_hides",
        "_marks",
        "_parts",
        "_raw",
        "_size",
        "ahead",
        "counted",
        "finished",
        "head",
        "obstacle",
        "prompt",
        "shown",
        "tokens",
        "told",
    )

    def __init__(self, *, hide_ids: bool) -> None:
        self._hides: Final = hide_ids
        self._raw: list[bytes] = []
        self._size = 0
        self._parts: list[str] = []
        self._marks: deque[tuple[int, int]] = deque([(0, 0)], maxlen=_MARKS)
        self.head: Head | None = None
        self.prompt: tuple[int, ...] = ()
        self.tokens: array[int] = array("I")
        self.ahead: list[int] = []
        """Tokens that a worker had made after those, before another one began to make them anew."""
        self.told = True
        """Whether the engine told the ids of all tokens."""
        self.counted: tuple[int, int] | None = None
        """The prompt's and the answer's tokens, where the engine counts as it goes."""
        self.shown = 0
        """Characters that the client has been shown."""
        self.finished = False
        """Whether a `finish_reason` was forwarded."""
        self.obstacle: Reason | None = None

    def pass_on(self, events: bytes) -> bytes:
        """Keep whole events of the worker; what the client gets of them."""
        if self.obstacle is None and events:
            self._raw.append(events)
            self._size += len(events)
            if self._size > _CONDENSE:
                self.understand()
        return hide(events) if self._hides else events

    @property
    def text(self) -> str:
        """What the client has been shown."""
        self._parts = ["".join(self._parts)]
        return self._parts[0]

    @property
    def marks(self) -> Sequence[Mark]:
        """The latest places where a continuation may begin, in order."""
        return [Mark(*each) for each in self._marks]

    def understand(self) -> None:
        """Bring `tokens`, `text` and the rest up to date."""
        raw, self._raw, self._size = b"".join(self._raw), [], 0
        try:
            lines = _lines(raw)
            if self.head is None and lines:
                self.head = _HEAD.decode(lines.partition(b"\n")[0])
            for event in _EVENT.decode_lines(lines):
                self._read(event)
        except (msgspec.DecodeError, OverflowError):
            self._give_up(Reason.FIELD)
        if len(self.tokens) + self.shown > LIMIT:
            self._give_up(Reason.TOO_LONG)

    def go_back(self, mark: Mark) -> None:
        """A continuation begins at `mark`: what the worker made after it is made anew."""
        self.ahead = [*self.tokens[mark.tokens :], *self.ahead]
        del self.tokens[mark.tokens :]
        self._marks = deque((each for each in self._marks if each[1] <= mark.tokens), maxlen=_MARKS)

    def add(self, text: str, ids: Sequence[int], shown: int) -> None:
        """What a continuation has made: `ids`, and `text` where it is new to the client.

        `shown` is how far its own text has come, in characters of the whole answer; -1: no further.
        """
        self.tokens.extend(ids)
        if self.ahead:
            del self.ahead[: len(ids)]
        if text:
            self._parts.append(text)
            self.shown += len(text)
        if shown >= 0:
            self._marks.append((shown, len(self.tokens)))

    def _read(self, event: _Event) -> None:
        if event.usage is not None:
            self.counted = (event.usage.prompt_tokens, event.usage.completion_tokens)
        if event.prompt_token_ids:
            self.prompt = tuple(event.prompt_token_ids)
        for choice in event.choices:
            self._read_choice(choice, choice.delta)

    def _read_choice(self, choice: _Choice, delta: _Delta | None) -> None:
        text = choice.text if delta is None else delta.content
        if delta is not None and (delta.tool_calls or delta.reasoning or delta.reasoning_content):
            self._give_up(Reason.TOOLS if delta.tool_calls else Reason.REASONING)
        if choice.index:
            self._give_up(Reason.CHOICES)
        if choice.prompt_token_ids:
            self.prompt = tuple(choice.prompt_token_ids)
        if choice.finish_reason is not None:
            self.finished = True
        elif text and not choice.token_ids:
            self.told = False
        self.add(text or "", choice.token_ids or (), self.shown + len(text) if text else -1)

    def _give_up(self, why: Reason) -> None:
        self.obstacle = self.obstacle or why
        self._raw, self._parts, self.tokens = [], [], array("I")


def _lines(raw: bytes) -> bytes:
    """The data of whole events, one a line, without `[DONE]` and comments."""
    if b"\r" not in raw and b"\n:" not in raw and not raw.endswith(b"[DONE]\n\n") and raw.startswith(b"data: "):
        return raw[6:].replace(b"\n\ndata: ", b"\n")  # nearly always: one step for all of them
    data = (line[5:].strip() for line in raw.splitlines() if line.startswith(b"data:"))
    return b"\n".join(each for each in data if each != b"[DONE]")
