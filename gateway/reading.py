"""What a worker's answer says: pure readers of JSON answers and of stream events.

They find the three things the gateway must know — whether the answer failed, whether it is complete, what it
cost — and leave the bytes as they are. Used by `relay` and `answers`; the errors they raise are the seam where
a worker's broken words become ours.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from gateway.errors import EngineRefused, WorkerFailed
from gateway.likeness import Likeness
from gateway.operations import Operation
from gateway.sse import EventTooLong, Framer, payload


class Usage(msgspec.Struct):
    """Tokens of one answer, in whichever of the two spellings (OpenAI's, Anthropic's) it came."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None

    @property
    def prompt(self) -> int:
        return self.prompt_tokens or self.input_tokens or 0

    @property
    def completion(self) -> int:
        return self.completion_tokens or self.output_tokens or 0


class _Delta(msgspec.Struct):
    content: str | msgspec.UnsetType | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[msgspec.Raw] | None = None

    @property
    def carries(self) -> bool:
        return bool(self.content or self.reasoning or self.reasoning_content or self.tool_calls)


class _Choice(msgspec.Struct):
    finish_reason: str | None = None
    delta: _Delta | None = None
    text: str | None = None


class _Inner(msgspec.Struct):
    usage: Usage | None = None


class _Event(msgspec.Struct):
    """One event of any dialect: only the fields that are looked at."""

    choices: list[_Choice] | None = None
    usage: Usage | None = None
    error: Any = None
    type: str | None = None
    response: _Inner | None = None


class _Ending(msgspec.Struct, gc=False):
    finish_reason: str | None = None


class _More(msgspec.Struct, gc=False):
    """An event after the first with content: what would make it more than a further piece."""

    choices: list[_Ending] | None = None
    usage: Any = None
    error: Any = None
    type: Any = None


class _Answer(msgspec.Struct, gc=False):
    choices: list[_Ending] | None = None
    usage: Usage | None = None


class _EngineError(msgspec.Struct):
    message: str = ""
    type: str | None = None
    param: str | None = None
    code: int | str | None = None


class _EngineErrorBody(msgspec.Struct):
    """vLLM's and OpenAI's errors are under `error`, SGLang's and LMDeploy's are the body itself."""

    error: _EngineError | str | None = None
    message: str | None = None
    param: str | None = None
    code: int | str | None = None
    detail: Any = None


_EVENT: Final = msgspec.json.Decoder(_Event)
_MORE: Final = msgspec.json.Decoder(_More)
_ANSWER: Final = msgspec.json.Decoder(_Answer)
_ERROR: Final = msgspec.json.Decoder(_EngineErrorBody)
_UNFINISHED: Final = frozenset({"abort", "error"})
"""The reasons to finish that mean a worker gave up: of all engines the first, of vLLM and LMDeploy the second too."""
_FAILURES: Final = frozenset({"error", "response.failed"})
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises: for what is not JSON, for bad UTF-8, for brackets without an end."""


def usage_of(body: bytes) -> Usage | None:
    """The usage of a complete JSON answer. Raises `WorkerFailed` where it is no answer at all."""
    try:
        answer = _ANSWER.decode(body if body.isascii() else _utf8(body))
    except _UNREADABLE as fault:
        raise WorkerFailed("The worker's answer is not JSON.") from fault
    for choice in answer.choices or ():
        if choice.finish_reason in _UNFINISHED:
            raise WorkerFailed("The worker aborted the answer.")
    return answer.usage


def refusal(status: int, body: bytes) -> EngineRefused:
    """The engine's own 4xx in our envelope; `code` becomes a string or null, as OpenAI's clients expect."""
    try:
        decoded = _ERROR.decode(body)
    except _UNREADABLE:
        decoded = _EngineErrorBody(message=body[:500].decode("utf-8", "replace"))
    error = decoded.error
    if isinstance(error, str) or error is None:
        message = error or decoded.message or _sentence(decoded.detail)
        error = _EngineError(message=message, param=decoded.param, code=decoded.code)
    code = error.code if isinstance(error.code, str) else None
    if status == 404 and code is None:
        code = "model_not_found"
    message = error.message or f"The engine refused the request with status {status}."
    return EngineRefused(status, message, "invalid_request_error", error.param, code)


def _sentence(detail: Any) -> str:
    """FastAPI's `detail`: a sentence, or a list of faults."""
    return detail if isinstance(detail, str) else msgspec.json.encode(detail).decode() if detail else ""


def _utf8(text: bytes) -> bytes:
    """`text`, looked through: msgspec skips over fields that it does not read, invalid bytes and all."""
    if not text.isascii():
        text.decode("utf-8")
    return text


class StreamReader:
    """Reads one stream. `feed` gives the bytes that may go to the client: whole events, and nothing after a fault.

    Invariant: at most one of `complete` and `fault` is ever set, and nothing is forwarded after either.
    """

    __slots__ = ("_framer", "_hide_usage", "_operation", "complete", "content", "fault", "likeness", "usage")

    def __init__(self, operation: Operation, *, hide_usage: bool) -> None:
        self._framer: Final = Framer()
        self._operation: Final = operation
        self._hide_usage: Final = hide_usage
        self.complete = False
        """Whether the stream's terminal event was forwarded."""
        self.fault: WorkerFailed | None = None
        """Why the stream cannot go on."""
        self.content = False
        """Whether an event has carried content, reasoning or a tool call: the first token."""
        self.usage: Usage | None = None
        self.likeness: Final = Likeness()
        """Of the reads that may pass unread. It knows none unless the stream stands between two events."""

    def passes(self, events: bytes) -> bool:
        """Whether `events` is nothing but whole events in the middle of an answer that has begun: it passes as it is.

        Nearly every read is. What this does not recognise is no fault: `feed` decides.
        """
        if not (self.content and events.startswith(b"data: {") and events.endswith(b"}\n\n")):
            return False
        # Two line ends an event: more are in the middle of one, where SSE reads them otherwise.
        ends = events.count(b"\n")
        if b"\r" in events or self._framer.busy or (ends > 2 and ends != 2 + 2 * events.count(b"\n\ndata: {")):
            return False
        try:
            lines = (events if events.isascii() else _utf8(events))[6:-2]
            seen = [_MORE.decode(lines)] if ends == 2 else _MORE.decode_lines(lines.replace(b"\n\ndata: ", b"\n"))
        except _UNREADABLE:
            return False
        for more in seen:
            if not more.choices or more.usage is not None or more.error is not None or more.type is not None:
                return False
            for choice in more.choices:
                if choice.finish_reason is not None and choice.finish_reason in _UNFINISHED:
                    return False
        if ends == 2:
            self.likeness.learn(events)
        return True

    def feed(self, chunk: bytes) -> bytes:
        """The events that `chunk` completes and that may be forwarded; then look at `complete` and `fault`."""
        if self._is_plain(chunk):
            return chunk
        self.likeness.forget()
        try:
            events = self._framer.feed(chunk)
        except EventTooLong:
            self.fault = WorkerFailed("The worker sent an event without an end.")
            return b""
        if len(events) == 1:
            return events[0] if self._forwards(events[0]) else b""
        return b"".join([event for event in events if self._forwards(event)])

    def give_up(self, fault: WorkerFailed) -> None:
        """What was forwarded last cannot be followed by anything: a fault, even after a terminal event."""
        self.complete = False
        self.fault = fault

    def end(self) -> None:
        """The worker's bytes are over: without a terminal event that is a fault."""
        if not self.complete and self.fault is None:
            self.fault = WorkerFailed("The worker ended the stream before the answer was complete.")

    def _is_plain(self, chunk: bytes) -> bool:
        """As `passes`, but from an answer's beginning; what this does not recognise is read event by event."""
        if not (chunk.startswith(b"data: {") and chunk.endswith(b"}\n\n")) or self._framer.busy or self.over:
            return False
        pieces = chunk[:-2].split(b"\n\n")
        lines = chunk.count(b"\n")  # two an event: more are in the middle of one, where SSE reads them otherwise
        if lines != 2 * len(pieces) or b"\r" in chunk or chunk.count(b"\n\ndata: ") != len(pieces) - 1:
            return False
        try:
            events = [_EVENT.decode(_utf8(piece[6:])) for piece in pieces]
        except _UNREADABLE:
            return False
        for seen in events:
            if seen.usage is not None or seen.error is not None or seen.type is not None or not seen.choices:
                return False
            for choice in seen.choices:
                if choice.finish_reason in _UNFINISHED:
                    return False
                self.content = self.content or _carries(choice)
        return True

    @property
    def over(self) -> bool:
        """Whether the stream had its terminal event, or can have none."""
        return self.complete or self.fault is not None

    def _forwards(self, event: bytes) -> bool:
        """Look at one event; whether the client gets it."""
        if self.over:
            return False
        data = payload(event)
        if not data:
            return True  # a comment
        if data == b"[DONE]":
            self.complete = not self._operation.terminals
            return self.complete
        try:
            seen = _EVENT.decode(_utf8(data))
        except _UNREADABLE:
            self.fault = WorkerFailed("The worker sent an event that is not JSON.")
            return False
        self.fault = _fault_in(seen)
        return self.fault is None and self._note(seen)

    def _note(self, seen: _Event) -> bool:
        usage = seen.usage or (seen.response.usage if seen.response else None)
        if usage is not None:
            self.usage = usage
        if seen.choices is None:
            return self._note_typed(seen)
        if not self.content:
            self.content = any(map(_carries, seen.choices))
        return not (self._hide_usage and usage is not None and not seen.choices)

    def _note_typed(self, seen: _Event) -> bool:
        if seen.type is not None:
            self.content = self.content or seen.type.endswith(("delta", ".added"))
            self.complete = seen.type in self._operation.terminals
        return True


def _carries(choice: _Choice) -> bool:
    """Whether a choice shows the client anything of the answer: words, reasoning, a tool call, or its end."""
    return bool(choice.text or choice.finish_reason or (choice.delta is not None and choice.delta.carries))


def _fault_in(seen: _Event) -> WorkerFailed | None:
    if seen.error is not None or seen.type in _FAILURES:
        return WorkerFailed("The worker reported an error in the middle of the stream.")
    for choice in seen.choices or ():
        if choice.finish_reason in _UNFINISHED:
            return WorkerFailed("The worker aborted the answer.")
    return None
