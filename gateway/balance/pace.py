"""How fast a pool serves, from what it has served: an exponentially weighted mean. Pure; the clock's value comes in."""

from __future__ import annotations

from typing import Final

_WEIGHT: Final = 0.1
"""Of the newest interval."""
SHORTEST: Final = 1.0
LONGEST: Final = 60.0
"""Seconds of a promise: less is rude to the server, more is not believed."""


class Pace:
    """Invariant: `_interval` is the mean time in seconds between two requests that ended while others waited."""

    __slots__ = ("_interval", "_last")

    def __init__(self) -> None:
        self._interval: float | None = None
        self._last: float | None = None

    def served(self, now: float, *, busy: bool) -> None:
        """A request ended at `now`. Only intervals in which somebody waited (`busy`) measure the pool's speed."""
        if busy and self._last is not None:
            interval = now - self._last
            self._interval = (
                interval if self._interval is None else self._interval + _WEIGHT * (interval - self._interval)
            )
        self._last = now if busy else None

    def wait_for(self, ahead: int) -> float:
        """Seconds until a request with `ahead` others before it has its turn, as far as the past can tell."""
        if self._interval is None:
            return SHORTEST
        return min(LONGEST, max(SHORTEST, ahead * self._interval))
