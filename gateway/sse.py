"""Server-sent events: bytes in, whole events out. No sockets, no clock, no opinion about what an event means.

`Framer` cuts a worker's byte stream into whole events, whichever of the three line ends the worker uses and
wherever the network cut; `payload` gives an event's data. Used by `gateway.reading`.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final

LIMIT: Final = 4 * 1024 * 1024
"""Bytes of one event, at most. A worker that sends more is broken, or hostile."""

_BOUNDARY: Final = re.compile(rb"\n\n|\r\n\r\n|\r\r|\n\r\n|\r\n\n")


class EventTooLong(ValueError):
    """An event passed `LIMIT` without an end."""


class Framer:
    """Holds at most one unfinished event. What `feed` returns are whole events, each with its blank line."""

    __slots__ = ("_pending",)

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, chunk: bytes) -> list[bytes]:
        """The events that `chunk` completes, in order. Raises `EventTooLong`."""
        if not self._pending and chunk.endswith(b"\n\n") and b"\r" not in chunk and b"\n\n\n" not in chunk:
            # Whole events are what engines send; of a single one, nothing to cut and nothing to copy.
            lines = chunk[:-2].split(b"\n\n")
            return [chunk] if len(lines) == 1 else [event + b"\n\n" for event in lines]
        searched = max(0, len(self._pending) - 3)  # a boundary is at most four bytes and may straddle the cut
        self._pending += chunk
        ends = [boundary.end() for boundary in _BOUNDARY.finditer(self._pending, searched)]
        events = [bytes(self._pending[start:end]) for start, end in pairwise([0, *ends])]
        if ends:
            del self._pending[: ends[-1]]
        if len(self._pending) > LIMIT:
            raise EventTooLong
        return events

    @property
    def busy(self) -> bool:
        """Whether any byte is held back."""
        return bool(self._pending)


def payload(event: bytes) -> bytes:
    """The data of one whole event; empty for a comment or an event without data."""
    if event.startswith(b"data: ") and event.find(b"\n") == len(event) - 2 and b"\r" not in event:
        return event[6:-2]
    lines = [line[5:].removeprefix(b" ") for line in event.splitlines() if line.startswith(b"data:")]
    return b"\n".join(lines)
