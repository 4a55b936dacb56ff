"""Takes the token ids that only the gateway asked for out of a stream's events, without parsing them.

A quote inside a JSON string is escaped, so `token_ids":[` in valid JSON is never part of a text, but always a field
and the beginning of its list. What an engine writes otherwise (spaces) is left: one field too many is no fault.
"""

from __future__ import annotations

import re
from typing import Final

_IDS_BEGIN: Final = b'token_ids":['
"""The end of both keys and the beginning of both lists: inside a string, its quote would be escaped."""
_LENGTH: Final = len(_IDS_BEGIN)
_PROMPT: Final = ord("_")
_IDS: Final = re.compile(rb'"((?:prompt_)?token_ids)":\[[\d,]*\]')
_EMPTY: Final = b'"delta":{},"logprobs":null,"finish_reason":null'
"""An event that vLLM's chat sends for its token ids alone: without them it sends none."""
_EMPTY_LENGTH: Final = len(_EMPTY)


def hide(events: bytes) -> bytes:
    """Whole events without token ids: `null` in their place, as vLLM writes it where none were asked for."""
    at = events.find(_IDS_BEGIN)
    if (
        at < 0
        or events[at - 1] == _PROMPT
        or events.startswith(_EMPTY, at - _EMPTY_LENGTH - 2)
        or events.find(_IDS_BEGIN, at + _LENGTH) >= 0
    ):
        return events if at < 0 else _hide_slowly(events)
    return events[: at + _LENGTH - 1] + b"null" + events[events.index(b"]", at) + 1 :]


def _hide_slowly(events: bytes) -> bytes:
    if _EMPTY in events and b"\r" not in events:  # else the events cannot be told apart as quickly
        events = b"".join(event for event in _split(events) if _EMPTY not in event)
    return _IDS.sub(rb'"\1":null', events)


def _split(events: bytes) -> list[bytes]:
    """Whole events, each with its blank line."""
    return [event + b"\n\n" for event in events.split(b"\n\n") if event]
