"""What single fields of a request may be: one literal table, by the field's name, for all operations. Pure.

Called by `api.body`. A bound keeps one request from costing a worker more than one request should (vLLM: a giant
`n` runs it out of memory). What is merely wrong is the engine's to refuse; documented in docs/security.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final

import msgspec

from gateway.api.numbers import LARGEST, suspicious, too_large
from gateway.api.shape import ROOMY, WIDEST, Fields
from gateway.errors import InvalidRequest

MESSAGES: Final = 4096
CHOICES: Final = 8
LOGPROBS: Final = 20
PROMPTS: Final = 64
STOPS: Final = 16
TOOLS: Final = 128
SCHEMA: Final = 64 * 1024
"""Bytes of what constrains an answer: a JSON schema or a grammar."""
REGEX: Final = 1024
"""Bytes of a regular expression."""

_TEXT: Final = msgspec.json.Decoder(str)
_NUMBER: Final = msgspec.json.Decoder(bool | int | float | None)
_LIST: Final = msgspec.json.Decoder(list[msgspec.Raw])
_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_SHORTEST: Final = len("1e16")
"""Bytes of a number that is too large, at least."""
_LONGEST_ESCAPE: Final = len(r"\u0041")
"""Bytes that one byte of a text may take."""
_LISTED: Final = re.compile(rb"\[")
_TOKEN_IDS: Final = re.compile(rb"\[[ \t\r\n]*+[-0-9]")

Bound = Callable[[str, msgspec.Raw], None]
"""Raises `InvalidRequest` if the value of the field with this name is out of bounds."""


def check(fields: Fields) -> None:
    """Every bound of every field but that of plain numbers. Raises `InvalidRequest`, naming the parameter."""
    for name, raw in fields.items():
        bound = _BOUNDS.get(name)
        if bound is not None:
            bound(name, raw)


def check_numbers(fields: Fields) -> None:
    """No number of a field without a bound of its own is too large. Raises `InvalidRequest`, naming the parameter."""
    # A comma keeps the digits of neighbours apart.
    plain = b",".join([raw for name, raw in fields.items() if name not in _BOUNDS])
    if len(plain) >= _SHORTEST and (len(plain) > ROOMY or suspicious(plain)):
        _check_large((name, bytes(raw)) for name, raw in fields.items() if name not in _BOUNDS)


def wrong_type(fault: msgspec.ValidationError, name: str) -> InvalidRequest:
    """Msgspec says: Expected `bool`, got `int` - at `$.include_usage`; `name` is the field that was decoded."""
    sentence, _, place = str(fault).partition(" - at `$")
    param = name + place.strip("`")
    return InvalidRequest(f"Wrong type for '{param}': {sentence.lower().replace('`', '')}.", param=param)


def _check_large(values: Iterable[tuple[str, bytes]]) -> None:
    name = too_large(values)
    if name is not None:
        message = f"'{name}' holds a number beyond ±{LARGEST}, or is one too many that might be."
        raise InvalidRequest(message, param=name)


def _number(limit: int, name: str, raw: msgspec.Raw) -> None:
    try:
        value = _NUMBER.decode(raw)
    except msgspec.ValidationError as fault:
        raise wrong_type(fault, name) from fault
    # Below 0 lies vLLM's "all of them".
    if value is not None and not 0 <= value <= limit:
        raise InvalidRequest(f"'{name}' must be between 0 and {limit}.", param=name)


def _items(limit: int, name: str, raw: msgspec.Raw) -> None:
    # An item takes two bytes at least.
    if memoryview(raw).nbytes > 2 * limit and _LISTED.match(raw) and len(_LIST.decode(raw)) > limit:
        raise InvalidRequest(f"'{name}' must have at most {limit} items.", param=name)


def _texts(limit: int, name: str, raw: msgspec.Raw) -> None:
    """A list of token ids is one text, however long."""
    if not _TOKEN_IDS.match(raw):
        _items(limit, name, raw)


def _prompt(limit: int, name: str, raw: msgspec.Raw) -> None:
    _texts(limit, name, raw)
    if _LISTED.match(raw):
        _check_large([(name, bytes(raw))])


def _size(limit: int, name: str, raw: msgspec.Raw) -> None:
    """A text by its own bytes, everything else by its JSON's."""
    size = memoryview(raw).nbytes
    if limit < size <= _LONGEST_ESCAPE * limit + 2 and bytes(raw).startswith(b'"'):
        size = len(_TEXT.decode(raw).encode())
    if size > limit:
        raise InvalidRequest(f"'{name}' must be at most {limit} bytes long.", param=name)


def _each(bounds: Mapping[str, Bound], otherwise: Bound, name: str, raw: msgspec.Raw) -> None:
    """The fields of an object, each by its own bound."""
    if not bytes(raw).startswith(b"{"):
        otherwise(name, raw)
        return
    fields = _OBJECT.decode(raw)
    if len(fields) > WIDEST:
        raise InvalidRequest(f"'{name}' must have at most {WIDEST} fields.", param=name)
    for inner, value in fields.items():
        bounds.get(inner, otherwise)(f"{name}.{inner}", value)


def _tools(limit: int, name: str, raw: msgspec.Raw) -> None:
    """How many, and each with its schema."""
    if not bytes(raw).startswith(b"["):
        return
    tools = _LIST.decode(raw)
    if len(tools) > limit:
        raise InvalidRequest(f"'{name}' must have at most {limit} items.", param=name)
    for position, tool in enumerate(tools):
        _size(SCHEMA, f"{name}[{position}]", tool)


def _stop_regex(name: str, raw: msgspec.Raw) -> None:
    _items(STOPS, name, raw)
    _size(REGEX, name, raw)


def _free(_name: str, _raw: msgspec.Raw) -> None:
    """Nothing here computes with what is in it."""


_schema: Final = partial(_size, SCHEMA)
_regex: Final = partial(_size, REGEX)
_format: Final = partial(_each, {"regex_schema": _regex}, _schema)
_count: Final = partial(_number, CHOICES)
_logprobs: Final = partial(_number, LOGPROBS)

_LONG_LISTS: Final = frozenset({"messages", "input", "documents"})
_BOUNDS: Final[Mapping[str, Bound]] = {
    "model": _free,
    "stream": _free,
    "stream_options": _free,
    "messages": partial(_items, MESSAGES),
    "input": partial(_texts, MESSAGES),
    "documents": partial(_items, MESSAGES),
    "prompt": partial(_prompt, PROMPTS),
    "stop": partial(_items, STOPS),
    "stop_sequences": partial(_items, STOPS),
    "n": _count,
    "best_of": _count,
    "logprobs": _logprobs,
    "top_logprobs": _logprobs,
    "prompt_logprobs": _logprobs,
    "tools": partial(_tools, TOOLS),
    "functions": partial(_tools, TOOLS),
    "response_format": _format,
    "structured_outputs": partial(_each, {"regex": _regex, "whitespace_pattern": _regex}, _schema),
    "text": _schema,
    "output_config": _schema,
    "json_schema": _schema,
    "ebnf": _schema,
    "guided_json": _schema,
    "guided_choice": _schema,
    "guided_grammar": _schema,
    "regex": _regex,
    "guided_regex": _regex,
    "guided_whitespace_pattern": _regex,
    "stop_regex": _stop_regex,
    # Earlier tool calls, schemas and notes hold any number (a 64-bit id, say), and no engine computes with it.
    "instructions": _free,
    "metadata": _free,
    "system": _free,
    "tool_choice": _free,
}
"""Fields that are not here hold no number beyond ±`LARGEST`."""

SHORT: Final = 2 * MESSAGES
"""Bytes within which no list can have more than `MESSAGES` items."""
BOUNDED: Final = frozenset(name for name, bound in _BOUNDS.items() if bound is not _free) - _LONG_LISTS
"""Fields to look at in any body; in a `SHORT` one `check` has no others."""
