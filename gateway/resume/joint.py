"""Makes the second worker's stream read as the rest of the first one's. Pure: whole events in, whole events out.

What the first stream's events repeat (id, created, model) is kept; a chat that is continued by token ids comes back as
a completion and is told as a chat. One a continuation, fed by `answers`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from gateway.errors import WorkerFailed
from gateway.reading import Usage
from gateway.resume.decide import Continuation
from gateway.resume.request import CHAT, Asked
from gateway.resume.transcript import Transcript
from gateway.sse import Framer, payload

_DONE: Final = b"data: [DONE]\n\n"


class _Delta(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    text: str | None = None
    delta: _Delta | None = None
    finish_reason: str | None = None
    stop_reason: int | str | None = None
    token_ids: list[int] | None = None


class _Counted(msgspec.Struct):
    completion_tokens: int


class _Event(msgspec.Struct):
    choices: list[_Choice] = []
    usage: _Counted | None = None
    system_fingerprint: str | None = None


_EVENT: Final = msgspec.json.Decoder(_Event)


class Diverged(WorkerFailed):
    """The second worker went on differently where the client has seen what comes."""


class Joint:
    """Invariant: what it has returned follows what the client had, with no token lost or doubled.

    Raises `Diverged` instead where that cannot be.
    """

    def __init__(self, path: str, asked: Asked, said: Transcript, continuation: Continuation) -> None:
        self._chat: Final = path == CHAT
        self._asked: Final = asked
        self._said: Final = said
        self._prompt_tokens: Final = continuation.prompt_tokens
        self._before: Final = continuation.mark.tokens
        self._made = continuation.made
        self._repeats = continuation.repeats
        self._repeated_ids = list(continuation.repeated_ids)
        self.usage: Usage | None = None
        """Of the whole answer, once the second worker has told its part."""
        said.go_back(continuation.mark)

    def pass_on(self, events: bytes) -> bytes:
        """What the client gets for whole events of the second worker."""
        return b"".join([self._told(payload(event)) for event in Framer().feed(events)])

    def _told(self, data: bytes) -> bytes:
        if not data:
            return b""
        if data == b"[DONE]":
            return _DONE
        try:
            event = _EVENT.decode(data)
            if not event.choices:
                return self._usage(event)
            return self._token(event, event.choices[0])
        except (msgspec.DecodeError, OverflowError) as fault:
            raise WorkerFailed("The worker sent an event that cannot be understood.") from fault

    def _usage(self, event: _Event) -> bytes:
        if event.usage is None or self._prompt_tokens is None:
            return b""
        counted = self._counted(self._before + event.usage.completion_tokens)
        self.usage = Usage(prompt_tokens=counted["prompt_tokens"], completion_tokens=counted["completion_tokens"])
        return self._event(event, [], counted) if self._asked.usage else b""

    def _token(self, event: _Event, given: _Choice) -> bytes:
        """The client's event for the worker's; empty where there is nothing in it that the client has not seen."""
        text = given.text or (given.delta.content if given.delta is not None else "") or ""
        new, new_ids = self._new_text(text), self._new_ids(given.token_ids or [])
        if given.finish_reason is not None and self._repeats:
            raise Diverged("The second worker ended the answer before the place where the first one had been.")
        self._made += len(text)
        self._said.add(new, given.token_ids or (), self._made if text else -1)
        self._said.finished = given.finish_reason is not None
        if not (new or given.finish_reason is not None or (self._asked.ids and new_ids)):
            return b""
        choice = dict(self._fields(given, new)) | {"token_ids": new_ids if self._asked.ids else None}
        counts = self._asked.continuous_usage and self._prompt_tokens is not None
        return self._event(event, [choice], self._counted(len(self._said.tokens)) if counts else None)

    def _counted(self, completion: int) -> dict[str, int]:
        prompt = self._prompt_tokens or 0
        return {"prompt_tokens": prompt, "total_tokens": prompt + completion, "completion_tokens": completion}

    def _fields(self, given: _Choice, text: str) -> Iterator[tuple[str, Any]]:
        yield "index", 0
        yield ("delta", {"content": text} if text else {}) if self._chat else ("text", text)
        yield "logprobs", None
        yield "finish_reason", given.finish_reason
        if given.finish_reason is not None or not self._chat:
            yield "stop_reason", given.stop_reason
        if not self._chat:
            yield "prompt_token_ids", None

    def _new_text(self, text: str) -> str:
        again = min(len(text), len(self._repeats))
        if text[:again] != self._repeats[:again]:
            raise Diverged("The second worker went on differently.")
        self._repeats = self._repeats[again:]
        return text[again:]

    def _new_ids(self, ids: list[int]) -> list[int]:
        again = min(len(ids), len(self._repeated_ids))
        if ids[:again] != self._repeated_ids[:again]:
            raise Diverged("The second worker went on differently.")
        del self._repeated_ids[:again]
        return ids[again:]

    def _event(self, event: _Event, choices: list[dict[str, Any]], usage: dict[str, int] | None) -> bytes:
        head = self._said.head
        if head is None:
            raise Diverged("The first worker had not begun.")
        kind = "chat.completion.chunk" if self._chat else "text_completion"
        told: dict[str, Any] = {"id": head.id, "object": kind, "created": head.created, "model": head.model}
        told["choices"] = choices
        if usage is not None:
            told["usage"] = usage
        if event.system_fingerprint is not None:
            told["system_fingerprint"] = event.system_fingerprint
        return b"data: " + msgspec.json.encode(told) + b"\n\n"
