"""Takes the token ids that only the gateway asked for out of a stream's events, without parsing them.

A quote inside a JSON string is escaped, so `,"token_ids":[` in valid JSON is never part of a text: the comma before
the quote is a comma between fields. What an engine writes otherwise (spaces) is left: one field too many is no fault.
"""

from __future__ import annotations

import re
from typing import Final

_KEY: Final = b',"token_ids":['
_KEY_LENGTH: Final = len(_KEY)
_BRACKET: Final = ord("]")
_IDS: Final = re.compile(rb'"((?:prompt_)?token_ids)":\[[\d,]*\]')
_EMPTY: Final = b'"delta":{},"logprobs":null,"finish_reason":null'
"""An event that vLLM's chat sends for its token ids alone: without them it sends none."""
_EMPTY_LENGTH: Final = len(_EMPTY)


def hide(events: bytes) -> bytes:
    """Whole events without token ids: `null` in their place, as vLLM writes it where none were asked for."""
    at = events.find(_KEY)
    if (
        at < 0
        or events[at - 1] == _BRACKET  # the prompt's ids are before it
        or events.startswith(_EMPTY, at - _EMPTY_LENGTH)
        or events.find(b"\n\n", 0, -2) >= 0  # several events
    ):
        return _hide_slowly(events)
    return events[: at + _KEY_LENGTH - 1] + b"null" + events[events.index(b"]", at) + 1 :]


def _hide_slowly(events: bytes) -> bytes:
    if _EMPTY in events and b"\r" not in events:  # else the events cannot be told apart as quickly
        events = b"".join(event for event in _split(events) if _EMPTY not in event)
    return _IDS.sub(rb'"\1":null', events)


def _split(events: bytes) -> list[bytes]:
    """Whole events, each with its blank line."""
    return [event + b"\n\n" for event in events.split(b"\n\n") if event]
