"""Adapters that are to leave a worker: the supervisor is told of each when this gateway's last request for it there has
ended. As `departures` for workers; one for the whole house.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from registry.adapters import Resident


class Evictions:
    """Invariant: each hold is told of once, at a time when no request of ours is on that adapter there."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell: Final = tell
        self._active: Final[dict[tuple[str, str], int]] = {}
        """Open requests by worker and adapter."""
        self._awaited: Final[dict[tuple[str, str], str]] = {}
        """Holds that are not told yet."""
        self._known: frozenset[str] = frozenset()

    @property
    def active(self) -> Mapping[tuple[str, str], int]:
        """Open requests by worker and adapter, as engines call it."""
        return self._active

    def begin(self, worker: str, adapter: str) -> None:
        """A request for `adapter` goes to `worker`."""
        self._active[worker, adapter] = self._active.get((worker, adapter), 0) + 1

    def end(self, worker: str, adapter: str) -> None:
        """One such request has ended."""
        place = worker, adapter
        self._active[place] -= 1
        if not self._active[place]:
            del self._active[place]
            hold = self._awaited.pop(place, None)
            if hold is not None:
                self._tell(hold)

    def want(self, evicted: Iterable[Resident]) -> None:
        """What the newest snapshot says; it comes after the pools have taken note of who holds what."""
        now = {each.hold: (each.worker, each.adapter) for each in evicted}
        for place, hold in tuple(self._awaited.items()):
            if hold not in now:
                del self._awaited[place]  # it stays after all
        for hold, place in now.items():
            if hold in self._known:
                continue
            if place in self._active:
                self._awaited[place] = hold
            else:
                self._tell(hold)
        self._known = frozenset(now)
