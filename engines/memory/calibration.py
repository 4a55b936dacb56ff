"""What measuring taught: an engine's overhead on this machine, from what workers really took. Pure.

What the planner can compute (weights, KV cache, adapters) is exact; what it cannot is the overhead. So a measurement is
kept as the overhead that would have made the prediction right, and corrects it also for another context or more slots.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean

import msgspec

from engines.memory.estimate import Estimate, Wish


class Measure(msgspec.Struct, frozen=True):
    """One model's last loads. Bytes of one worker."""

    place: str
    """Engine and device."""
    overhead: int
    """What was measured beyond all that is computed, averaged with what was known before."""
    predicted: int
    """The total that was foretold for the last load."""
    measured: int
    """What it took then."""


def key(model: str, wish: Wish) -> str:
    """What a measurement is worth for: a model in this layout, on this engine and device."""
    return f"{model} {wish.engine} {wish.layout} {wish.device}"


def learned(measures: Mapping[str, Measure], model: str, wish: Wish, otherwise: int) -> int:
    """The overhead to plan with: this model's own, else the mean of the engine's other models, else `otherwise`."""
    own = measures.get(key(model, wish))
    if own is not None:
        return own.overhead
    others = [each.overhead for each in measures.values() if each.place == _place(wish)]
    return round(fmean(others)) if others else otherwise


def corrected(before: Measure | None, foretold: Estimate, wish: Wish, measured: int) -> Measure:
    """What is known after a load that took `measured` bytes where `foretold` was expected."""
    overhead = max(0, measured - foretold.model - foretold.cache)
    if before is not None:
        overhead = (before.overhead + overhead) // 2
    return Measure(_place(wish), overhead, foretold.total, measured)


def _place(wish: Wish) -> str:
    return f"{wish.engine} {wish.device}"
