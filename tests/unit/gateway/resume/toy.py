"""A toy of vLLM's streams, for the tests of resuming: its tokens are pieces of UTF-8, its answer is written down.

Detokenizing, holding back for stop strings and the events follow vLLM 0.32 (v1/engine/detokenizer.py,
entrypoints/openai); the bytes of the events are those of a real worker.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

EOS = 2
PROMPT = (1, 2, 3)


def tokens_of(text: str, sizes: Sequence[int] = (1,)) -> list[int]:
    """Token ids of `text`: pieces of `sizes` bytes, over and over; a token may be half a character."""
    rest, ids = text.encode(), []
    while rest:
        size = sizes[len(ids) % len(sizes)]
        ids.append(int.from_bytes(b"\x01" + rest[:size], "big"))
        rest = rest[size:]
    return ids


def bytes_of(token: int) -> bytes:
    return b"" if token == EOS else token.to_bytes((token.bit_length() + 7) // 8, "big")[1:]


@dataclass
class Toy:
    """A worker: whatever it is asked, its whole answer is `answer`, of which it continues what the prompt has."""

    answer: list[int]

    def stream(self, path: str, body: dict[str, Any], created: int = 7) -> list[bytes]:
        """The events of one answer, `[DONE]` included."""
        chat = path.endswith("chat/completions")
        prompt = list(PROMPT) if chat or isinstance(body["prompt"], str) else body["prompt"]
        limit = body.get("max_tokens", 1000 if chat else 16)
        made = list(self._make(self.answer[len(prompt) - len(PROMPT) :], limit, body))
        say = _Speaker(chat, created, prompt, body)
        events = say.opening() + [say.token(*each, index) for index, each in enumerate(made)]
        return [b"data: " + event + b"\n\n" for event in (*events, *say.closing(len(made)), b"[DONE]") if event]

    def _make(self, ids: list[int], limit: int, body: dict[str, Any]) -> Iterator[tuple[int, str, str | None]]:
        stops = [body["stop"]] if isinstance(body.get("stop"), str) else body.get("stop", [])
        shows = body.get("include_stop_str_in_output", False)
        held = max(map(len, stops), default=1) - 1 if not shows else 0
        pending, text, sent = b"", "", 0
        for count, token in enumerate([*ids, EOS], 1):
            pending += bytes_of(token)
            piece = _whole(pending)
            pending = b"" if piece else pending
            text, before = text + piece, len(text)
            ends = [
                (at + len(stop), at) for stop in stops if (at := text.find(stop, max(0, before + 1 - len(stop)))) >= 0
            ]
            finish = "stop" if ends or token == EOS else "length" if count == limit else None
            if ends:
                text = text[: min(ends)[0 if shows else 1]]
            shown = len(text) if finish else max(sent, len(text) - held)
            yield token, text[sent:shown], finish
            sent = shown
            if finish:
                return


def _whole(pending: bytes) -> str:
    text = pending.decode(errors="replace")
    return "" if text.endswith("\ufffd") else text


@dataclass
class _Speaker:
    """Writes events as vLLM does."""

    chat: bool
    created: int
    prompt: list[int]
    body: dict[str, Any]

    @property
    def _ids(self) -> bool:
        return bool(self.body.get("return_token_ids"))

    @property
    def _options(self) -> dict[str, Any]:
        return self.body.get("stream_options") or {}

    def _frame(self) -> dict[str, Any]:
        kind = "chat.completion.chunk" if self.chat else "text_completion"
        return {"id": f"{kind}-{self.created}", "object": kind, "created": self.created, "model": self.body["model"]}

    def _usage(self, made: int) -> dict[str, int]:
        prompt = len(self.prompt)
        return {"prompt_tokens": prompt, "total_tokens": prompt + made, "completion_tokens": made}

    def _counted(self, event: dict[str, Any], made: int) -> dict[str, Any]:
        return event | ({"usage": self._usage(made)} if self._options.get("continuous_usage_stats") else {})

    def opening(self) -> list[bytes]:
        if not self.chat:
            return []
        delta = {"role": "assistant", "content": ""}
        event = self._frame() | {"choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}]}
        event = self._counted(event, 0)
        return [msgspec.json.encode(event | {"prompt_token_ids": self.prompt if self._ids else None})]

    def token(self, token: int, text: str, finish: str | None, index: int) -> bytes:
        """One token's event; empty where the engine sends none."""
        choice: dict[str, Any] = {"index": 0}
        choice |= {"delta": {"content": text} if text else {}} if self.chat else {"text": text}
        choice |= {"logprobs": None, "finish_reason": finish}
        if finish or not self.chat:
            choice["stop_reason"] = None
        if not self.chat:
            choice["prompt_token_ids"] = self.prompt if self._ids and not index else None
        elif not (text or finish or self._ids):
            return b""
        choice["token_ids"] = [token] if self._ids else None
        return msgspec.json.encode(self._counted(self._frame() | {"choices": [choice]}, index + 1))

    def closing(self, made: int) -> list[bytes]:
        if not self._options.get("include_usage"):
            return []
        return [msgspec.json.encode(self._frame() | {"choices": [], "usage": self._usage(made)})]
