"""A moment by which something must have happened, on an event loop: one timer, moved by an assignment. A leaf.

A connection's deadline moves with every read; a timer anew for each would cost more than the read. So the timer is
left where it is, and looks when it rings whether the moment has moved on. Used on both sides of the gateway.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

_ROUNDS: Final = 4
_ROUND: Final = 0.001
"""Seconds, the least that uvloop's timers know: a round of the loop, which reads in between."""


class Deadline:
    """Invariant: `passed` is called once `at` has passed, and not before; None is without end.

    A loop that was held up, by its own work or because its process stood still, rings its alarms before it reads what
    has come meanwhile. So the last rounds are given: a peer is not late because we were.
    """

    __slots__ = ("_alarm", "_loop", "_passed", "_rings", "_rounds", "at")

    def __init__(self, loop: asyncio.AbstractEventLoop, passed: Callable[[], None]) -> None:
        self._loop: Final = loop
        self._passed: Final = passed
        self._alarm: asyncio.TimerHandle | None = None
        self._rings = 0.0
        self._rounds = 0
        """Given since `at` had passed."""
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
            self._rounds = 0
            self._set(self.at)
        elif self._rounds < _ROUNDS:
            self._rounds += 1
            self._set(self._loop.time() + _ROUND)
        else:
            self._rounds = 0
            self.at = None
            self._passed()


@asynccontextmanager
async def within(seconds: float | None) -> AsyncIterator[None]:
    """As `asyncio.timeout`, with a `Deadline`'s last rounds. Raises `TimeoutError`."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(None) as timeout:
        deadline = Deadline(loop, lambda: timeout.reschedule(loop.time()))
        if seconds is not None:
            deadline.within(seconds)
        try:
            yield
        finally:
            deadline.close()
