"""Which adapters were used last, kept over restarts of the supervisor: those are loaded first. Fed by `demands`."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

import msgspec

from engines import atomic

_MOST: Final = 1000


class Recency:
    """Invariant: the file holds what was noted when it was last saved, or is as good as not there."""

    def __init__(self, place: Path) -> None:
        self._place: Final = place
        self._changed = False
        self._names: Final[dict[str, None]] = dict.fromkeys(_read(place))
        """The last one was used last."""

    def used(self, name: str) -> None:
        """Now."""
        if next(reversed(self._names), None) != name:
            self._names.pop(name, None)
            self._names[name] = None
            self._changed = True

    def latest(self) -> tuple[str, ...]:
        """The last one first."""
        return tuple(reversed(self._names))

    def save(self) -> None:
        """If there is anything new. That it cannot be written costs a restart its order, nothing else."""
        if not self._changed:
            return
        self._changed = False
        for name in self.latest()[_MOST:]:
            del self._names[name]
        with contextlib.suppress(OSError):
            atomic.write(self._place, msgspec.json.encode(list(self._names)), durable=False)


def _read(place: Path) -> list[str]:
    try:
        return msgspec.json.decode(place.read_bytes(), type=list[str])
    except (OSError, msgspec.DecodeError):
        return []
