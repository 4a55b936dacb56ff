"""When a worker is left alone for a while: a circuit breaker, pure. The clock's value and the chance come in.

    closed ──3 failures in a row──▶ open ──its time is over──▶ half-open ──success──▶ closed (slow start)
                                      ▲                            │
                                      └──────failure, twice as long┘

One per worker, kept by `pool.worker`; `pool.pool` asks and tells. The pool never leaves its last worker alone.
"""

from __future__ import annotations

from typing import Final

THRESHOLD: Final = 3
"""Failures in a row that open it."""
FIRST_OUT: Final = 5.0
LONGEST_OUT: Final = 60.0
"""Seconds that it stays open: the first time, doubled every further time, and at most."""
SLOW_START: Final = 10.0
"""Seconds over which a worker that comes back takes its full share again."""
_LEAST_WEIGHT: Final = 0.1
_DOUBLINGS: Final = 10
"""More of them change nothing but the size of a number."""


class Breaker:
    """Invariant: while half-open, at most one request is on its way to find out."""

    __slots__ = ("_back_since", "_failures", "_finding_out", "_out_until", "_trips")

    def __init__(self) -> None:
        self._failures = 0
        self._trips = 0
        self._out_until: float | None = None
        self._finding_out = False
        self._back_since: float | None = None

    @property
    def out_until(self) -> float | None:
        """When it may be tried again, in monotonic seconds; None: it is not out."""
        return self._out_until

    def admits(self, now: float) -> bool:
        """Whether a request may go to this worker at `now` (monotonic seconds)."""
        return self._out_until is None or (now >= self._out_until and not self._finding_out)

    def weight(self, now: float) -> float:
        """Its share of the load, 0.1…1: less than 1 for a while after it came back."""
        if self._back_since is None:
            return 1.0
        share = (now - self._back_since) / SLOW_START
        if share >= 1.0:
            self._back_since = None
            return 1.0
        return max(_LEAST_WEIGHT, share)

    def sent(self) -> bool:
        """A request goes to this worker; whether it is the one that finds out if the worker is back."""
        trial = self._out_until is not None and not self._finding_out
        self._finding_out = self._finding_out or trial
        return trial

    def worked(self, now: float, *, trial: bool) -> None:
        """A request went well. While it is out only the trial counts: others were sent before it broke."""
        if self._out_until is None:
            self._failures = 0
        elif trial:
            self._failures = self._trips = 0
            self._out_until = None
            self._finding_out = False
            self._back_since = now

    def failed(self, now: float, chance: float, *, trial: bool) -> None:
        """A request failed by this worker's fault. `chance`, 0…1, spreads the returns of many workers."""
        self._failures += 1
        if trial or (self._out_until is None and self._failures >= THRESHOLD):
            out = min(LONGEST_OUT, FIRST_OUT * 2 ** min(self._trips, _DOUBLINGS))
            self._out_until = now + out * (0.8 + 0.4 * chance)
            self._trips += 1
            self._finding_out = False

    def unknown(self, *, trial: bool) -> None:
        """A request ended and says nothing about the worker (the client left)."""
        if trial:
            self._finding_out = False

    def rests(self, until: float) -> None:
        """The worker itself asked to be left alone until then."""
        self._out_until = max(self._out_until or until, until)
        self._finding_out = False
