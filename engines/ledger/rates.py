"""How often each adapter was asked for lately: one number each, which counts the recent for more. Pure.

Frequency that decays is recency too: what was asked for once, just now, stands above what was asked for twice long
ago. That is LRFU (Lee et al., 2001), between LRU and LFU by its half-life. Fed by the ledger, read by `placement`.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import exp2, log
from typing import Final

HALF_LIFE: Final = 60.0
"""Seconds after which a request counts half: a few times what people pause between two questions."""
LEAST: Final = 1e-5
"""Requests per second that are forgotten: one request, some ten half-lives ago."""


class Rates:
    """Invariant: only what was asked for in the last ten half-lives or so is remembered."""

    def __init__(self, half_life: float = HALF_LIFE) -> None:
        self._half_life: Final = half_life
        self._weight: Final = log(2) / half_life
        """So that a steady r requests per second read as r."""
        self._counted: Final[dict[str, tuple[float, float]]] = {}

    def served(self, adapter: str, count: int, now: float) -> None:
        """So many requests for it have begun; `now` in monotonic seconds."""
        self._counted[adapter] = (self._rate(adapter, now) + count * self._weight, now)

    def at(self, now: float) -> Mapping[str, float]:
        """Requests per second by adapter; forgets what has become next to nothing."""
        found = {adapter: self._rate(adapter, now) for adapter in self._counted}
        for adapter in [adapter for adapter, rate in found.items() if rate < LEAST]:
            del self._counted[adapter], found[adapter]
        return found

    def _rate(self, adapter: str, now: float) -> float:
        rate, then = self._counted.get(adapter, (0.0, now))
        return rate * exp2((then - now) / self._half_life)
