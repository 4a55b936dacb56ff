"""How long one request may take: the model's limits, and the deadline that follows from them. A leaf.

Made by `api.inference`; asked by `pool` and `relay` for the seconds of every single wait.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gateway.errors import AnswerTimeout, FirstTokenTimeout, IdleTimeout, TimedOut, TotalTimeout
from registry.snapshot import Timeouts


class Patience:
    """Invariant: no wait that it grants ends after the deadline. All times in seconds; None is without end."""

    __slots__ = ("_clock", "_deadline", "_first_by", "_stream", "_timeouts")

    def __init__(self, timeouts: Timeouts, clock: Callable[[], float], *, stream: bool) -> None:
        # A JSON answer comes all at once, at its end: for it, the limit on the answer is the deadline.
        answer = None if stream else timeouts.answer
        total = answer if timeouts.total is None else timeouts.total if answer is None else min(answer, timeouts.total)
        self._timeouts: Final = timeouts
        self._clock: Final = clock
        self._stream: Final = stream
        self._deadline: Final = None if total is None else clock() + total
        self._first_by: float | None = None
        """For a stream that has a limit on its first token."""
        self.attempt()

    def attempt(self) -> None:
        """A worker is tried: its time for the first token begins, however many roles and comments come before it."""
        if self._stream and (first := self._capped(self._timeouts.first_token)) is not None:
            self._first_by = self._clock() + first

    @property
    def now(self) -> float:
        """By the clock of all limits."""
        return self._clock()

    @property
    def left(self) -> float | None:
        """Until the deadline."""
        return None if self._deadline is None else max(0.0, self._deadline - self._clock())

    @property
    def connect(self) -> float | None:
        """For one connection attempt."""
        return self._capped(self._timeouts.connect)

    @property
    def first(self) -> float | None:
        """For the worker's first token, of what the attempt has left."""
        if not self._stream:
            return self.left
        return None if self._first_by is None else max(0.0, self._first_by - self._clock())

    @property
    def idle(self) -> float | None:
        """For every further one."""
        return self._capped(self._timeouts.idle) if self._stream else self.left

    def verdict(self, *, first: bool) -> TimedOut:
        """What to say after such a wait passed in vain."""
        if not self._stream:
            return AnswerTimeout("The worker did not complete its answer in time.")
        if self._deadline is not None and self._clock() >= self._deadline:
            return TotalTimeout("The answer was not complete within the model's total limit.")
        if first:
            return FirstTokenTimeout("The worker did not produce a first token in time.")
        return IdleTimeout("The worker's stream stood still for too long.")

    def _capped(self, limit: float | None) -> float | None:
        if self._deadline is None:
            return limit
        left = max(0.0, self._deadline - self._clock())
        return left if limit is None else min(limit, left)
