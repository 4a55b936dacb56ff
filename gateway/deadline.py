"""A moment by which something must have happened, on an event loop: one timer, moved by an assignment. A leaf.

A connection's deadline moves with every read; a timer anew for each would cost more than the read. So the timer is
left where it is, and looks when it rings whether the moment has moved on. Used on both sides of the gateway.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final


class Deadline:
    """Invariant: `passed` is called once `at` has passed, and not before; None is without end."""

    __slots__ = ("_alarm", "_loop", "_passed", "_rings", "at")

    def __init__(self, loop: asyncio.AbstractEventLoop, passed: Callable[[], None]) -> None:
        self._loop: Final = loop
        self._passed: Final = passed
        self._alarm: asyncio.TimerHandle | None = None
        self._rings = 0.0
        self.at: float | None = None
        """In seconds of the loop's clock. May be assigned: None, or a later moment."""

    def within(self, seconds: float) -> None:
        """So many seconds from now, be it earlier or later than before."""
        self.at = due = self._loop.time() + seconds
        if self._alarm is None or self._rings > due:
            self._set(due)

    def close(self) -> None:
        """Never."""
        self.at = None
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _set(self, due: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._rings = due
        self._alarm = self._loop.call_at(due, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        if self.at is None:
            return
        if self._loop.time() < self.at:
            self._set(self.at)
            return
        self.at = None
        self._passed()
