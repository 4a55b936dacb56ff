"""`multipart/form-data` (RFC 7578), read as it arrives: bytes in, parts and pieces out. No sockets, no files.

Used by `uploads`, which never holds more than a piece of a file in memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum, auto
from typing import Final, NamedTuple

from gateway.errors import InvalidRequest

_BOUNDARY: Final = re.compile(rb";\s*boundary=(?:\"([^\"\r\n]{1,70})\"|([A-Za-z0-9'()+_,./:=?-]{1,70}))", re.IGNORECASE)
_PARAMETER: Final = re.compile(rb";\s*(name|filename)=\"([^\"\r\n]{0,256})\"", re.IGNORECASE)
_LONGEST_HEAD: Final = 8 * 1024
"""Bytes of one part's headers, and of what may stand before the first part."""
MOST_PARTS: Final = 16


class Part(NamedTuple):
    """A part begins; what follows are its pieces."""

    name: str
    filename: str
    """As the client has it: never a path of ours. Empty: none."""


class _At(Enum):
    CONTENT = auto()
    DELIMITER = auto()
    HEAD = auto()
    END = auto()


def boundary_of(media: bytes) -> bytes:
    """What separates the parts of a body with this content type. Raises `InvalidRequest`."""
    found = _BOUNDARY.search(media)
    if found is None:
        raise InvalidRequest("The Content-Type multipart/form-data names no boundary.")
    return found[1] or found[2]


class Multipart:
    """Invariant: what was given out is the beginning of the body; `complete` is true only after its last boundary."""

    def __init__(self, boundary: bytes) -> None:
        self._delimiter: Final = b"\r\n--" + boundary
        self._rest = bytearray(b"\r\n")  # the first boundary stands at the beginning of a line, too
        self._at = _At.CONTENT
        self._parts = 0

    @property
    def complete(self) -> bool:
        """Whether the whole body was there."""
        return self._at is _At.END

    def feed(self, arrived: bytes) -> Iterator[Part | bytes]:
        """What `arrived` completes. Raises `InvalidRequest`."""
        more = self._at is not _At.END  # what follows the last boundary means nothing
        if more:
            self._rest += arrived
        while more and self._at is not _At.END:
            if self._at is _At.CONTENT:
                piece, more = self._content()
                if piece and self._parts:
                    yield piece
            elif self._at is _At.DELIMITER:
                more = self._delimited()
            else:
                part = self._head()
                more = part is not None
                if part is not None:
                    yield part

    def _content(self) -> tuple[bytes, bool]:
        """Up to the next boundary, as far as it is there, and whether that was reached."""
        found = self._rest.find(self._delimiter)
        if not self._parts and found < 0 and len(self._rest) > _LONGEST_HEAD:
            raise InvalidRequest("The body does not begin with the boundary that its Content-Type names.")
        end = found if found >= 0 else max(0, len(self._rest) - len(self._delimiter) + 1)
        piece = bytes(self._rest[:end])
        del self._rest[: end + (len(self._delimiter) if found >= 0 else 0)]
        if found >= 0:
            self._at = _At.DELIMITER
        return piece, found >= 0

    def _delimited(self) -> bool:
        if len(self._rest) < 2:
            return False
        mark = bytes(self._rest[:2])
        if mark not in {b"--", b"\r\n"}:
            raise InvalidRequest("A part of the body does not begin as multipart/form-data has it.")
        self._at = _At.END if mark == b"--" else _At.HEAD
        return True

    def _head(self) -> Part | None:
        """The part that begins; its headers follow the line break that ends the boundary."""
        end = self._rest.find(b"\r\n\r\n")
        if end < 0:
            if len(self._rest) > _LONGEST_HEAD:
                raise InvalidRequest("The headers of a part of the body have no end.")
            return None
        lines = bytes(self._rest[:end]).split(b"\r\n")
        del self._rest[: end + 4]
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise InvalidRequest(f"The body has more than {MOST_PARTS} parts.")
        self._at = _At.CONTENT
        return _part(lines)


def _part(lines: list[bytes]) -> Part:
    for line in lines:
        header, _, value = line.partition(b":")
        if header.strip().lower() == b"content-disposition" and value.strip().lower().startswith(b"form-data"):
            known = {key.lower(): text for key, text in _PARAMETER.findall(value)}
            try:
                return Part(known[b"name"].decode("ascii"), known.get(b"filename", b"").decode("utf-8"))
            except (KeyError, UnicodeDecodeError):
                break
    raise InvalidRequest("A part of the body has no name, or none that can be read.")
