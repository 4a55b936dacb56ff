"""Each worker in turn, whatever it has to do: the baseline that other policies are measured against."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gateway.balance.policy import Choice, Reason
from gateway.balance.prefix import Prefix


class RoundRobin:
    """Invariant: between two choices of one worker every other that could take a request was chosen once."""

    def __init__(self, _chance: Callable[[], float]) -> None:
        self._turns: dict[str, int] = {}
        """When each worker was last chosen, as a count of choices."""
        self._count = 0

    def choose(self, loads: Mapping[str, float], prefix: Prefix, now: float) -> Choice:
        """The one whose last turn is longest ago; a newcomer first."""
        worker = min(loads, key=lambda each: self._turns.get(each, 0))
        self._count += 1
        self._turns[worker] = self._count
        return Choice(worker, Reason.TURN, len(loads))

    def gone(self, worker: str) -> None:
        self._turns.pop(worker, None)
