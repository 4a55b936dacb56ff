"""Request bodies made to be expensive to look at, of any size, and honest ones of the same size. Pure.

Read by `loadtests.bounds` and by the tests, which ask what becomes of them and not how long it takes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

Value = Callable[[int], bytes]
"""A JSON value, or what pretends to be one, of about so many bytes."""

FIELDS: Final = ("x", "messages", "prompt", "input", "tools", "metadata", "n", "response_format", "regex")
"""One for each kind of bound."""


def filled(before: bytes, unit: bytes, after: bytes, size: int) -> bytes:
    """`unit` as often as it fits."""
    return before + unit * ((size - len(before) - len(after)) // len(unit)) + after


def text(unit: bytes) -> Value:
    """A string of nothing else."""
    return partial(filled, b'"', unit, b'"')


def many(unit: bytes) -> Value:
    """A list of nothing else."""
    return partial(filled, b"[", unit + b",", unit + b"]")


def some(share: int, unit: bytes) -> Value:
    """A list of one for each `share` bytes, as many as are let in, and a text that fills the rest."""
    return lambda size: filled(b"[" + (unit + b",") * (size // share) + b'"', b"x", b'"]', size)


def beside_text(start: bytes, unit: bytes, end: bytes) -> Value:
    """Something small before a string that is hard to look past."""
    return lambda size: filled(start * max(1, size // 70_000) + b'"', unit, b'"' + end * max(1, size // 70_000), size)


def distinct_names(size: int) -> bytes:
    """An object in which every name is another one."""
    return b"{%b}" % b",".join(b'"k%06d":1' % number for number in range(size // 12))


def said(value: object) -> bytes:
    """What JSON looks like in a string of JSON."""
    return json.dumps(json.dumps(value)).encode()[1:-1]


_CHAT: Final = {"model": "m", "messages": [{"role": "user", "content": 'Say "hi" to [Bob] {and}\n C:\\temp'}]}
_CHAIN: Final = b"[" * 60 + b"]" * 60

HOSTILE: Final[Mapping[str, Value]] = {
    "escaped brackets in a string": text(rb"\"[\"{"),
    "brackets in a string": partial(filled, b'"' + rb"\"", b"[", b'"'),
    "escaped quotes": text(rb"\""),
    "backslashes": text(rb"\\"),
    "backslashes and brackets": text(rb"\\["),
    "backslashes and a quote": text(rb"\\\""),
    "line ends and brackets": text(rb"\n["),
    "unicode escapes": text(rb"\u0022"),
    "surrogate pairs": text(rb"\ud83d\ude00"),
    "half surrogates": text(rb"\ud83d"),
    "a half surrogate at the end": partial(filled, b'"', b"x", rb'\ud800"'),
    "an unknown escape at the end": partial(filled, b'"', rb"\n", rb'\x"'),
    "bad UTF-8 at the end": partial(filled, b'"', "é".encode(), b'\xff"'),
    "no end of a string": partial(filled, b'"', rb"\"", b""),
    "JSON in JSON in a string": text(said(said(_CHAT).decode())),
    "deep chains and an escaped string": beside_text(b"[" + _CHAIN + b",", rb"\"[\"{", b"]"),
    "chains in a list and an escaped string": lambda size: b"[%b]" % beside_text(_CHAIN + b",", rb"\"[\"{", b"")(size),
    "an escaped name": lambda size: b"{%b:1}" % text(rb"\"[")(size - 4),
    "many escaped strings": many(text(rb"\"[\\{")(70)),
    "many strings": many(b'""'),
    "as many strings as may be": some(80, b'"ab"'),
    "many arrays": many(b"[]"),
    "as many arrays as may be": some(80, b"[]"),
    "many objects": many(b'{"a":1}'),
    "many names": distinct_names,
    "one name again and again": partial(filled, b"{", b'"a":1,', b'"a":1}'),
    "deep arrays": lambda size: b"[" * (size // 2) + b"]" * (size // 2),
    "deep objects": lambda size: b'{"a":' * (size // 6) + b"1" + b"}" * (size // 6),
    "only begun arrays": partial(filled, b"", b"[", b""),
    "only ended arrays": partial(filled, b"", b"]", b""),
    "quotes": partial(filled, b"", b'"', b""),
    "commas": partial(filled, b"[", b",", b"]"),
    "colons": partial(filled, b"", b":", b""),
    "bare backslashes": partial(filled, b"", b"\\", b""),
    "NUL": text(b"\0"),
    "blanks": partial(filled, b"", b"\n\t", b"1"),
    "blanks in a list": partial(filled, b"[", b" ", b"]"),
    "a long integer": partial(filled, b"1", b"0", b""),
    "a long fraction": partial(filled, b"0.", b"1", b""),
    "a long exponent": partial(filled, b"1e", b"9", b""),
    "a long negative exponent": partial(filled, b"1e-", b"9", b""),
    "leading zeros": partial(filled, b"", b"0", b""),
    "small numbers": many(b"1"),
    "numbers with an exponent": some(16, b"1e0"),
    "numbers that are hard to round": many(b"8.98846567431157953e307"),
    "numbers close to nothing": many(b"1.7976931348623157e-300"),
    "the same beside an escaped string": beside_text(b"[1.7976931348623157e-300,", rb"\"1e99", b"]"),
    "fractions of 17 digits": many(b"0.12345678901234567"),
    "integers of 16 digits": many(b"9007199254740991"),
    "integers of 19 digits": many(b"1234567890123456789"),
    "integers of 400 digits": many(b"1" * 400),
    "literals": many(b"false"),
    "NaN": many(b"NaN"),
}
"""What tries to be expensive, in a field of a body."""

HONEST: Final[Mapping[str, tuple[str, Value]]] = {
    "prose": ("prompt", text(b'He said: \\"yes [1]\\".\\n')),
    "prose of three-byte characters": ("prompt", text("漢字".encode())),
    "JSON in a string": ("prompt", text(said(_CHAT))),
    "a list of token ids": ("prompt", lambda size: b"[%b]" % b",".join([b"123456"] * (size // 32))),
    "a chat": ("messages", lambda size: many(json.dumps(_CHAT["messages"][0]).encode() + b" " * (size // 3000))(size)),
}
"""What has to pass, however large."""


def body(field: str, value: bytes) -> bytes:
    """A request that has `value` in one field."""
    return b'{"model": "m", "%b": %b}' % (field.encode(), value)
