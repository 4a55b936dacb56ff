"""What a request's JSON as a whole may be: not too much of it, no field twice, no deep nesting. Pure.

Called by `api.body` for every request, so each question is first put in a form that C answers in one pass and that
can only err towards "look closer"; the exact answer is worked out for the few bodies that need it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

import msgspec

from gateway.api.outline import marks, outside

DEEPEST: Final = 64
WIDEST: Final = 256
"""Fields of a body; APIs have some sixty."""

ROOMY: Final = 256 * 1024
"""Bytes of a body in which nothing can be crowded enough to take long."""
VALUES: Final = 256 * 1024
CONTAINERS: Final = 64 * 1024
STRINGS: Final = 64 * 1024
"""What a body may hold of each, names included: far more than any chat or any set of tools has, few enough to walk."""

Fields = Mapping[str, msgspec.Raw]

_ITEMS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_RUNS: Final = re.compile(rb"(\{+)(\}+)")
_SEARCHABLE: Final = 8
"""Brackets of a text that are searched one by one; more are counted."""
_WALKABLE: Final = 16
"""One peak in so many brackets: fewer are walked in Python, more are folded away in C."""


class Excess(Enum):
    """What a long body has too much of."""

    VALUES = auto()
    LEVELS = auto()


def excess(body: bytes) -> Excess | None:
    """What the JSON text `body` has too much of to be parsed; asked of all that is longer than `ROOMY`.

    Making an object for each of a million values would take most of a second.
    """
    found = marks(body)
    if found.count(b'"') > 2 * STRINGS:
        return Excess.VALUES
    found = outside(found)
    if max(found.count(b"{"), found.count(b"}")) > CONTAINERS or found.count(b",") >= VALUES:
        return Excess.VALUES
    return Excess.LEVELS if _deeper(found.replace(b",", b""), DEEPEST) else None


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
    """The value of one field. Lists (messages, tools) are seldom deep in any of their items."""
    if value.startswith(b"["):
        items = map(bytes, _ITEMS.decode(value))
        allowed = DEEPEST - 2
        return any(_deeper(_brackets(item), allowed) for item in items if item.count(b"{") + item.count(b"[") > allowed)
    return value.startswith(b"{") and not _few_brackets(value) and _deeper(_brackets(value), DEEPEST - 1)


def _brackets(text: bytes) -> bytes:
    return outside(marks(text)).replace(b",", b"")


def _deeper(brackets: bytes, allowed: int) -> bool:
    """The exact answer, in time that grows with the number of brackets alone."""
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
