"""The two ways to have a worker continue an answer that another one began: pure bodies, for the dialects.

Which requests may be continued at all the gateway decides (`gateway/resume/request.py`); here is only how it is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from engines.engine import HttpCall, Interrupted

_FIELDS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_CHAT: Final = "/v1/chat/completions"

CARRIED: Final = frozenset(
    {
        "temperature",
        "top_p",
        "top_k",
        "min_p",
        "seed",
        "logit_bias",
        "allowed_token_ids",
        "stop",
        "stop_token_ids",
        "include_stop_str_in_output",
        "ignore_eos",
        "skip_special_tokens",
        "spaces_between_special_tokens",
        "repetition_penalty",
        "presence_penalty",
        "frequency_penalty",
        "priority",
        "cache_salt",
        "user",
    }
)
"""The fields that shape the next token or what is shown of it; they mean the same on both paths."""


def by_token_ids(interrupted: Interrupted) -> HttpCall:
    """A completion whose prompt is the ids of the prompt and of the answer so far: nothing is tokenized again."""
    given = _FIELDS.decode(interrupted.body)
    fields: dict[str, object] = {
        "model": interrupted.served_name,
        "prompt": list(interrupted.prompt),
        "stream": True,
        "stream_options": {"include_usage": True},
        "return_token_ids": True,
    }
    fields |= _bounds(interrupted)
    fields |= {name: value for name, value in given.items() if name in CARRIED}
    return HttpCall("POST", "/v1/completions", msgspec.json.encode(fields))


def by_text(interrupted: Interrupted) -> HttpCall | None:
    """The chat with the answer so far as its open last message. None: it is no chat, or was continued before."""
    given: Mapping[str, msgspec.Raw] = _FIELDS.decode(interrupted.body)
    if interrupted.path != _CHAT or not {"messages"} <= set(given) or "continue_final_message" in given:
        return None
    messages = msgspec.json.decode(given["messages"], type=list[msgspec.Raw])
    partial = msgspec.json.encode({"role": "assistant", "content": interrupted.text})
    limits = {"max_tokens", "max_completion_tokens", "min_tokens"}
    fields: dict[str, object] = {name: value for name, value in given.items() if name not in limits}
    fields |= {
        "model": interrupted.served_name,
        "messages": [*messages, msgspec.Raw(partial)],
        "continue_final_message": True,
        "add_generation_prompt": False,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    return HttpCall("POST", _CHAT, msgspec.json.encode(fields | _bounds(interrupted)))


def _bounds(interrupted: Interrupted) -> dict[str, object]:
    bounds: dict[str, object] = {}
    if interrupted.max_tokens is not None:
        bounds["max_tokens"] = interrupted.max_tokens
    if interrupted.min_tokens:
        bounds["min_tokens"] = interrupted.min_tokens
    return bounds
