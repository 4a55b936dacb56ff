"""The fake worker's language: numbered, checksummed words, and the checks that read them back.

Pure. The worker writes with it; tests and load generators verify with it. The checksum binds a word to its
number and to the request's `seed` (the key), so words that strayed from another stream are seen too.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from typing import Final

_PIECE: Final = re.compile(r"\S+\s*|\s+")
_WORD: Final = re.compile(r"(?:(?P<voice>[^\s/]+)/)?w(?P<number>\d{4,})-(?P<sum>[0-9a-f]{4}) ?")
_LAST_WORD: Final = re.compile(r"w(\d{4,})-[0-9a-f]{4}\s*$")
_MADE: Final = 10_000_000
"""Token ids from here on are our own words; below it are pieces of prompts."""
_SUMS: Final = 0x10000
_HALF: Final = 4_000_000_000
"""Token ids from here on are first halves of words."""


class WordsBroken(Exception):
    """A text is not the unbroken sequence of words that it should be; the message says where."""


def checksum(number: int, key: int = 0) -> int:
    """Sixteen bits that bind word `number` to `key`."""
    return zlib.crc32(b"%d/%d" % (key, number)) & 0xFFFF


def word(number: int, key: int = 0, voice: str = "") -> str:
    """Word `number` (from 1) as it is sent, its space included; an adapter's `voice` is put before it."""
    spoken = f"{voice}/" if voice else ""
    return f"{spoken}w{number:04d}-{checksum(number, key):04x} "


def verify(text: str, *, key: int = 0, voice: str = "", first: int = 1) -> int:
    """How many words `text` holds. Raises `WordsBroken` at the first one that is not the next one."""
    at, number = 0, first
    while at < len(text):
        found = _WORD.match(text, at)
        expected = word(number, key, voice)
        if found is None or found.group().rstrip() != expected.rstrip():
            raise WordsBroken(f"at {at}: expected {expected!r}, found {text[at : at + 40]!r}")
        at, number = found.end(), number + 1
    return number - first


def half_id(number: int) -> int:
    """The token id of the first half of word `number`."""
    return _HALF + number


def spoken(ids: Sequence[int]) -> int:
    """How many tokens of an answer these ids end with, where every word is two tokens."""
    return next((at for at, each in enumerate(reversed(ids)) if each < _MADE), len(ids))


def next_number(prompt: str) -> int:
    """The number of the word that continues `prompt`: one more than the word it ends with, else 1."""
    found = _LAST_WORD.search(prompt)
    return int(found.group(1)) + 1 if found else 1


class Vocabulary:
    """Token ids and their texts. Our words' ids are computed; pieces of prompts are remembered as they come."""

    def __init__(self) -> None:
        self._pieces: Final[dict[int, str]] = {}

    def encode(self, text: str) -> list[int]:
        """The token ids of `text`: one a word, its trailing space included."""
        return [self._id(piece) for piece in _PIECE.findall(text)]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids`; an id that this worker has never seen is `<id>`."""
        return "".join(self._text(each) for each in ids)

    def _id(self, piece: str) -> int:
        found = _WORD.fullmatch(piece)
        if found:
            return _MADE + int(found["number"]) * _SUMS + int(found["sum"], 16)
        number = zlib.crc32(piece.encode()) % _MADE
        self._pieces[number] = piece
        return number

    def _text(self, each: int) -> str:
        if each >= _HALF:
            return ""
        if each < _MADE:
            return self._pieces.get(each, f"<{each}>")
        number, total = divmod(each - _MADE, _SUMS)
        return f"w{number:04d}-{total:04x} "
