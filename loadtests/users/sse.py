"""Server-sent events for a client that measures: lines in, the data of whole events out. Called by `answers`.

Not the gateway's own reader: a measuring instrument does not share code with what it measures.
"""

from __future__ import annotations


class Lines:
    """Collects one event's `data:` lines. Source: WHATWG HTML, 9.2.6; fields other than data are of no use here."""

    def __init__(self) -> None:
        self._data: list[bytes] = []

    def take(self, line: bytes) -> bytes | None:
        """The data of the event that `line` ends; None while there is none. `line` may keep its line end."""
        line = line.rstrip(b"\r\n")
        if not line:
            return self.rest()
        if line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" "))
        return None

    def rest(self) -> bytes | None:
        """What an event without its blank line has left behind; nothing is left of it afterwards."""
        data, self._data = self._data, []
        return b"\n".join(data) if data else None
