"""How long each model's worker took to start here, kept in `STATE/starts.json` so that the next start has an ETA."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from engines import atomic
from engines.supervisor.milestones import USUAL_START

_READING: Final = 200e6
"""Bytes a second: a plain disk."""


class StartTimes:
    """Seconds from start to first token, by model. Losing the file loses nothing but a guess."""

    def __init__(self, path: Path) -> None:
        self._path: Final = path
        try:
            self._seconds = msgspec.json.decode(path.read_bytes(), type=dict[str, float])
        except (OSError, msgspec.DecodeError):
            self._seconds = {}

    def expected(self, model: str, weights: int = 0) -> float:
        """The last time's seconds. Where there was none: the longest of another model, or the usual ones, and what it
        takes to read so many bytes of `weights`.
        """
        others = max(self._seconds.values(), default=USUAL_START)
        return self._seconds.get(model, max(others, USUAL_START) + weights / _READING)

    def record(self, model: str, seconds: float) -> None:
        """A worker of `model` has just become ready."""
        self._seconds[model] = round(seconds, 1)
        with suppress(OSError):  # a guess that cannot be kept stops nobody
            atomic.write(self._path, msgspec.json.encode(self._seconds), durable=False)
