"""What a request's JSON as a whole may be: no field twice, no deep nesting, no number that engines overflow on. Pure.

Called by `api.body` for every request, so each question is first put in a form that C answers in one pass and that
can only err towards "look closer"; the exact answer is worked out for the few bodies that need it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import chain
from typing import Any, Final

import msgspec

DEEPEST: Final = 64
WIDEST: Final = 256
"""Fields of a body; APIs have some sixty."""
LARGEST: Final = 2**53
"""Beyond it not every integer is a double any more, and engines' own counters begin to overflow."""

ROOMY: Final = 256 * 1024
"""Bytes of a body in which nothing can be crowded enough to take long."""
VALUES: Final = 256 * 1024
CONTAINERS: Final = 64 * 1024
STRINGS: Final = 64 * 1024
"""What a body may hold of each, names included: far more than any chat or any set of tools has, few enough to walk."""

Fields = Mapping[str, msgspec.Raw]

_ITEMS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_RUNS: Final = re.compile(rb"(\{+)(\}+)")
_KEPT: Final = b'"{}[]'
_DROPPED: Final = bytes(set(range(256)) - set(_KEPT))
_BRACKETS: Final = bytes.maketrans(b"[]", b"{}")
_SEARCHABLE: Final = 8
"""Brackets of a text that are searched one by one; more are counted."""
_SPLITTABLE: Final = 16 * 1024
"""Commas of a list that may be looked at item by item."""
_WALKABLE: Final = 16
"""One peak in so many brackets: fewer are walked in Python, more are folded away in C."""

_NUMBERS: Final = frozenset({int, float})
_NESTED: Final = frozenset({list, dict})
_DIGITS: Final = bytes.maketrans(b"123456789E", b"000000000e")
_LONG: Final = b"0" * 16
"""2^53 has sixteen digits."""


def crowded(body: bytes) -> bool:
    """Whether the JSON text `body` holds more values than may be looked at one by one.

    Asked before it is parsed, since making an object for each of a million would take most of a second.
    """
    if len(body) <= ROOMY or not _crowded(body, body.count(b'"')):
        return False
    text = _unescaped(body)  # it may all have been in strings
    quotes = text.count(b'"')
    return quotes > 2 * STRINGS or _crowded(b"".join(text.split(b'"')[::2]), quotes)


def _crowded(text: bytes, quotes: int) -> bool:
    containers = text.count(b"{") + text.count(b"[")
    return quotes > 2 * STRINGS or containers > CONTAINERS or text.count(b",") >= VALUES


def doubled(body: bytes, fields: Fields, values: bytes) -> bool:
    """Whether the JSON object `body`, decoded to `fields` with these `values` end to end, has a name twice at its top.

    Parsers disagree about which of the two counts. Names with a quotation mark count as doubled: no API has any.
    """
    # Besides names and values, an object without blanks has four bytes a field, and one: a name that comes again
    # would not fit in. With the blanks of Python's json there are two more, and one less.
    blanks = len(body) - len(values) - len("".join(fields)) - 4 * len(fields) - 1
    if blanks == 0 or (blanks == 2 * len(fields) - 1 and _spaced(fields) == body):
        return False
    # The quotes outside the values are those of the names: two each, and two more for a name that comes again.
    return body.count(b'"') - values.count(b'"') != 2 * len(fields)


def twice(body: bytes, fields: Fields) -> str | None:
    """Which name it is, of a body that is `doubled`; None: it is spelled with escapes."""
    values = b" ".join(fields.values())
    quoted = ((name, b'"%b"' % name.encode()) for name in fields)
    return next((name for name, text in quoted if body.count(text) > values.count(text) + 1), None)


def _spaced(fields: Fields) -> bytes:
    """`fields` as Python's json would write them: a body that equals this has each of them once."""
    return b'{"%b}' % b', "'.join(map(b'": '.join, zip(map(str.encode, fields), fields.values(), strict=True)))


def too_deep(body: bytes, fields: Fields) -> bool:
    """Whether the JSON object `body`, decoded to `fields`, has more than `DEEPEST` levels of arrays and objects."""
    return not _few_brackets(body) and any(_value_too_deep(bytes(raw)) for raw in fields.values())


def _few_brackets(text: bytes) -> bool:
    """Whether there are less than levels allowed. Searching is faster than counting while there is little to find."""
    found = 0
    for bracket in (b"{", b"["):
        at = text.find(bracket)
        while at >= 0:
            found += 1
            if found > _SEARCHABLE:
                return text.count(b"{") + text.count(b"[") < DEEPEST
            at = text.find(bracket, at + 1)
    return True


def _value_too_deep(value: bytes) -> bool:
    """The value of one field. Long lists (messages, tools) are seldom deep in any of their items."""
    if value.startswith(b"["):
        if value.count(b",") > _SPLITTABLE:
            return _deeper(value, DEEPEST - 1)
        items = map(bytes, _ITEMS.decode(value))
        allowed = DEEPEST - 2
        return any(_deeper(item, allowed) for item in items if item.count(b"{") + item.count(b"[") > allowed)
    return value.startswith(b"{") and not _few_brackets(value) and _deeper(value, DEEPEST - 1)


def _deeper(value: bytes, allowed: int) -> bool:
    """The exact answer for one JSON value, in time that grows with its length alone."""
    brackets = _brackets(value)
    # Folding takes one level off everything at once.
    while brackets and brackets.count(b"{}") * _WALKABLE >= len(brackets):
        brackets = brackets.replace(b"{}", b"")
        allowed -= 1
    depth = 0
    for opened, closed in _RUNS.findall(brackets):
        depth += len(opened)
        if depth > allowed:
            return True
        depth -= len(closed)
    return allowed < 0


def _brackets(body: bytes) -> bytes:
    """The brackets of a JSON text, all of one kind, without those in strings."""
    outline = _unescaped(body).translate(_BRACKETS, _DROPPED)
    # Two quotes side by side go away without changing what is inside a string and what is not.
    return b"".join(outline.replace(b'""', b"").split(b'"')[::2])


def _unescaped(text: bytes) -> bytes:
    """A JSON text in which every quotation mark begins or ends a string."""
    if b"\\" not in text:
        return text
    # A run of backslashes begins with an escape: whatever is escaped in it, then the quotes.
    return text.replace(b"\\\\", b"").replace(b'\\"', b"")


def too_large(value: bytes) -> bool:
    """Whether some number in `value` (JSON texts with commas between) is beyond ±`LARGEST`, infinite included."""
    outline = value.translate(_DIGITS)
    if _LONG not in outline and b"0e0" not in outline and b"0e+" not in outline:
        return False
    try:
        return _beyond(msgspec.json.decode(b"[%b]" % value))
    except msgspec.ValidationError:  # out of every range
        return True


def _beyond(values: list[Any]) -> bool:
    """Level by level: a call for every value would take a second for what fits into a body."""
    while values:
        numbers = [value for value in values if type(value) in _NUMBERS]
        if numbers and (max(numbers) > LARGEST or min(numbers) < -LARGEST):
            return True
        if len(numbers) == len(values):
            return False
        nested = [value for value in values if type(value) in _NESTED]
        values = list(chain.from_iterable(value.values() if type(value) is dict else value for value in nested))
    return False
