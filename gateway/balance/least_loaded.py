"""The worker with the least load; among many, the less loaded of two at random."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from gateway.balance.policy import Choice, Reason
from gateway.balance.prefix import Prefix

FEW: Final = 8
"""Workers that are all compared. Each gateway counts its own requests only: where the counts of many workers are equal
or nearly so, several gateways that each take the very least run after the same worker, and two at random do not. With
few workers the exact least is worth more than that."""


class LeastLoaded:
    """Invariant: stateless but for its source of chances."""

    def __init__(self, chance: Callable[[], float]) -> None:
        self._chance: Final = chance

    def choose(self, loads: Mapping[str, float], prefix: Prefix, now: float) -> Choice:
        """The first of equals, so that the pool's order breaks ties."""
        among = len(loads)
        if among <= FEW:
            return Choice(min(loads, key=loads.__getitem__), Reason.LEAST_LOADED, among)
        workers = list(loads)
        one = int(self._chance() * among)
        other = (one + 1 + int(self._chance() * (among - 1))) % among
        pair = (workers[one], workers[other])
        return Choice(min(pair, key=loads.__getitem__), Reason.LESS_LOADED_OF_TWO, among)

    def gone(self, worker: str) -> None:
        """Nothing is remembered of it."""
