"""How far the preparation of one model's weights is, over all its stages, and how long it will still take.

Called by `prepare`. Pure but for the clock that is passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Final

from engines.progress import Progress, Report
from engines.tool import Told

_ENOUGH: Final = 3.0
"""Seconds of work after which the pace means something."""


class Stage(Enum):
    """What preparing weights consists of; the value is its share: seconds on two cores for a 135M model."""

    FETCH = 5.0
    CONVERT = 30.0
    QUANTIZE = 180.0
    ROUND = 12.0
    """Quantizing without a search."""
    MEASURE = 22.0


class Stages:
    """Invariant: the fraction never goes back, and time between stages does not count as work."""

    def __init__(self, task: str, planned: Sequence[Stage], report: Report, clock: Callable[[], float]) -> None:
        self._task: Final = task
        self._planned: Final = tuple(planned)
        self._report: Final = report
        self._clock: Final = clock
        self._done = 0.0
        """Share of the stages that are over."""
        self._worked = 0.0
        """Seconds that they took."""

    def told(self, stage: Stage) -> Told:
        """Begins `stage`: what is called as it goes on, with the step and the stage's own fraction."""
        begun = self._clock()
        before = self._planned[: self._planned.index(stage)]
        self._done = sum(each.value for each in before)
        earlier = self._worked

        def tell(step: str, fraction: float) -> None:
            self._worked = earlier + self._clock() - begun
            self._tell(step, self._done + stage.value * fraction)

        return tell

    def finished(self) -> None:
        """The last report."""
        self._report(Progress(self._task, "ready", 1.0))

    def _tell(self, step: str, share: float) -> None:
        fraction = share / sum(each.value for each in self._planned)
        paced = self._worked >= _ENOUGH and fraction > 0
        eta = self._worked * (1 - fraction) / fraction if paced else None
        self._report(Progress(self._task, step, fraction, eta))
