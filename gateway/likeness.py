"""Reads that are like one before them: they pass without being understood again. Pure.

An engine repeats every byte of its stream's events but a text. Once one of them has been understood, another that
differs in nothing but plain characters of that string says the same to the gateway: it goes on. `reading` teaches and
clears a stream's likeness, `wire` asks it about every read.
"""

from __future__ import annotations

from typing import Final

_TEXTS: Final = (b'"content":"', b'"text":"', b'"reasoning_content":"', b'"reasoning":"')
"""Before a string that may be any other: no key that the gateway looks at ends so.

In valid JSON a quote before a colon ends a key, so this is never part of a string.
"""
_LONGEST: Final = 2048
"""A read of so many bytes, or more, is not compared."""
_EAGER: Final = 4
_SELDOM: Final = 16
"""So many events are learnt one after the other without one that was like the last, then one of so many: a stream whose
events have too little in common is not learnt at every step."""
_QUOTE: Final = ord('"')
_UNLIKE: Final = b"-" * _LONGEST
"""What no read that short begins with."""


def _size_lines() -> tuple[bytes, ...]:
    """By the length of a read: the size line of the one chunk that it must be."""
    lines = [_UNLIKE] * _LONGEST
    for size in range(1, _LONGEST):
        line = b"%x\r\n" % size
        if (length := len(line) + size + 2) < _LONGEST:
            lines[length] = line
    return tuple(lines)


_SIZE_LINES: Final = _size_lines()
_LINE_LENGTH: Final = max(len(line) for line in _SIZE_LINES if line is not _UNLIKE)


class Likeness:
    """Invariant: what it says yes to is one whole chunk with one whole event, as plain as the one that was learnt."""

    __slots__ = ("_after", "_after_length", "_before", "_before_length", "_least", "_unlike")

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Say no to everything until the next event is learnt."""
        self._before, self._before_length = b"", 0
        self._after, self._after_length = b"", 0
        self._least = _LONGEST
        """Bytes of the shortest read that may be like it."""
        self._unlike = 0
        """Events since the last that was like another."""

    def learn(self, event: bytes) -> None:
        """`event` is whole, valid, and passes; what differs from it in a text alone may pass unread."""
        self._unlike += 1
        if len(event) >= _LONGEST or (self._unlike > _EAGER and self._unlike % _SELDOM):
            return  # what is known stays true
        begin = _text_in(event)
        end = event.find(b'"', begin)
        if not begin or b"\\" in event[begin:end]:
            return
        self._before, self._before_length = event[:begin], begin
        self._after = event[end:] + b"\r\n"
        self._after_length = len(self._after)
        self._least = _LINE_LENGTH + begin + self._after_length

    def has(self, read: bytes) -> bool:
        """Whether `read`, at whose beginning a chunk begins, is one whole chunk with such an event."""
        length = len(read)
        if not self._least <= length < _LONGEST:
            return False
        line = _SIZE_LINES[length]
        begin = len(line)
        if not (read.startswith(self._before, begin) and read.endswith(self._after) and read.startswith(line)):
            return False
        try:
            text = str(read[begin + self._before_length : -self._after_length], "utf-8")
        except UnicodeDecodeError:
            return False
        # Line ends and all other control characters are not printable.
        if text.isprintable() and '"' not in text and "\\" not in text:
            self._unlike = 0
            return True
        return False


def _text_in(event: bytes) -> int:
    """Where a text begins; 0: there is none, or only empty ones, which may stand beside the one that changes."""
    for key in _TEXTS:
        at = event.find(key)
        if at > 0 and event[at + len(key)] != _QUOTE:
            return at + len(key)
    return 0
