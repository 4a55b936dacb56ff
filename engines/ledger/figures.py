"""What was done with adapters, counted by model. Fed by `flights` and `steward`, published through `tell`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from registry.snapshot import LOAD_BOUNDS, AdapterFigures

_LATELY: Final = 60.0
"""Seconds after which it is no waste any more to load again what has left."""


class Figures:
    """Invariant: figures only grow."""

    def __init__(self, clock: Callable[[], float], tell: Callable[[str, AdapterFigures], None]) -> None:
        self._clock: Final = clock
        self._tell: Final = tell
        self._known: Final[dict[str, AdapterFigures]] = {}
        self._left: Final[dict[str, float]] = {}

    def loaded(self, model: str, name: str, seconds: float) -> None:
        """A load has ended with a token, after so long."""
        known = self._of(model)
        again = self._clock() - self._left.pop(name, -_LATELY) < _LATELY
        took = tuple(count + (seconds <= bound) for count, bound in zip(known.took, LOAD_BOUNDS, strict=True))
        counts = {"loads": known.loads + 1, "returns": known.returns + again}
        self._put(model, **counts, seconds=known.seconds + seconds, took=took)

    def failed(self, model: str) -> None:
        """A load has ended without one."""
        self._put(model, failures=self._of(model).failures + 1)

    def evicted(self, model: str, name: str) -> None:
        """It was asked to leave a worker."""
        now = self._clock()
        for old in [old for old, at in self._left.items() if now - at >= _LATELY]:
            del self._left[old]
        self._left[name] = now
        self._put(model, evictions=self._of(model).evictions + 1)

    def drifted(self, model: str) -> None:
        """A worker did not hold what it had been given, or held what it had not."""
        self._put(model, drifts=self._of(model).drifts + 1)

    def _of(self, model: str) -> AdapterFigures:
        return self._known.get(model, AdapterFigures())

    def _put(self, model: str, **changes: Any) -> None:
        self._known[model] = msgspec.structs.replace(self._of(model), **changes)
        self._tell(model, self._known[model])
