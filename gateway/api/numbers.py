"""Whether a JSON text holds a number that engines overflow on, without reading all of its numbers. Pure.

Called by `api.bounds`. No parser may see them first: what is neither small nor short costs one up to 20 µs a number,
and a body has room for 200,000.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from gateway.api.outline import numerals

LARGEST: Final = 2**53
"""Beyond it not every integer is a double any more, and engines' own counters begin to overflow."""
SUSPECTS: Final = 4096
"""Numbers with sixteen digits before the point or a positive exponent: so many are read, and nobody sends more."""

_LONGEST: Final = 64
"""Bytes of a number that is worth reading; a double is written with 24."""
_OUTLINE: Final = bytes.maketrans(b"123456789+E-:[]{} \t\r\n", b"0000000000e,,,,,,,,,,")
_LONG: Final = b"0" * 16
"""2^53 has sixteen digits."""
_RAISED: Final = b"0e0"
_LONG_FROM_THE_START: Final = re.compile(rb",0{16}(?<!e,0{16})")
"""Neither a fraction nor a negative exponent."""
_NUMBER: Final = re.compile(rb"[0-9.]*(?:[eE][-+]?[0-9]+)?")


def suspicious(values: bytes) -> bool:
    """Whether some number in `values`, JSON texts with commas between, deserves a closer look. Strings count too."""
    outline = values.translate(_OUTLINE)
    # An exponent's first two bytes are looked for first: in lists of token ids that takes half the time.
    return _LONG in outline or (_RAISED[:2] in outline and _RAISED in outline)


def too_large(values: Iterable[tuple[str, bytes]]) -> str | None:
    """The name of the first of these named JSON texts with a number beyond ±`LARGEST`, infinite included, if any.

    Or the one in which more than `SUSPECTS` of them all have been seen.
    """
    suspects = ((name, number) for name, value in values for number in _suspects(value))
    return next((name for seen, (name, number) in enumerate(suspects) if seen == SUSPECTS or _beyond(number)), None)


def _suspects(value: bytes) -> Iterator[bytes]:
    if value.startswith(b'"') or (b'"' in value and not suspicious(value)):
        return
    numbers = b",%b" % (numerals(value) if b'"' in value else value)
    outline = numbers.translate(_OUTLINE)
    if _LONG in outline:
        for found in _LONG_FROM_THE_START.finditer(outline):
            yield _spelled(numbers, found.start() + 1)
    at = outline.find(_RAISED)
    while at >= 0:
        begin = outline.rfind(b",", 0, at) + 1
        number = _spelled(numbers, begin)
        yield number
        at = outline.find(_RAISED, begin + len(number))


def _spelled(numbers: bytes, begin: int) -> bytes:
    number = _NUMBER.match(numbers, begin)
    return number[0] if number is not None else b""


def _beyond(number: bytes) -> bool:
    if len(number) > _LONGEST:
        return True
    # An integer is compared as one: the first that is beyond is no double.
    return (int(number) if number.isdigit() else float(number)) > LARGEST
