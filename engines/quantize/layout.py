"""A layout: how weights are packed, and how the numbers that are packed are found. Pure values.

`engines.quantize.rules` says which engine loads which. Layout and algorithm are two things: AWQ's layout with tuned
rounding is not the algorithm AWQ, and reports name both.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final


@dataclass(frozen=True, slots=True)
class Tuning:
    """How the quantizer searches for the rounding that loses least, and on how much text."""

    iterations: int = 8
    learning_rate: float = 0.03
    """Of the rounding, in quantization steps; small, because the number of iterations is."""
    range_learning_rate: float = 0.02
    """Of the ends of each group's range."""
    samples: int = 40
    length: int = 256
    """Tokens of one sample."""
    batch: int = 8
    seed: int = 42


@dataclass(frozen=True, slots=True)
class Layout:
    """How weights are packed. `name` is our word for it; `none` is no packing at all."""

    name: str
    bits: int = 16
    group_size: int = 0
    """Weights that share a scale; 0: a whole row."""
    symmetric: bool = True
    tuning: Tuning | None = None
    """None: each weight goes to the nearest number, and no calibration text is read."""

    @property
    def is_packed(self) -> bool:
        """Whether there is anything to quantize."""
        return self.bits < _PLAIN

    @property
    def algorithm(self) -> str:
        """How the packed numbers are found, in words."""
        if not self.is_packed:
            return "none"
        return "tuned rounding (auto-round)" if self.tuning else "round-to-nearest"

    @property
    def sentence(self) -> str:
        """The layout in words: 4 bits, groups of 32, symmetric."""
        if not self.is_packed:
            return "as the source"
        groups = f"groups of {self.group_size}" if self.group_size else "a scale each row"
        return f"{self.bits} bits, {groups}, {'symmetric' if self.symmetric else 'asymmetric'}"


_PLAIN: Final = 16

NONE: Final = Layout("none")
GPTQ: Final = Layout("gptq", bits=4, group_size=32, symmetric=True, tuning=Tuning())
AWQ: Final = Layout("awq", bits=4, group_size=32, symmetric=False, tuning=Tuning())
W4A16: Final = Layout("w4a16", bits=4, group_size=32, symmetric=True, tuning=Tuning())
W8A8: Final = Layout("w8a8", bits=8)
FP8: Final = Layout("fp8", bits=8)


def quickened(layout: Layout, iterations: int, samples: int) -> Layout:
    """The same layout with less search: for tests that need a real checkpoint more than a good one."""
    if layout.tuning is None:
        return layout
    return replace(layout, tuning=replace(layout.tuning, iterations=iterations, samples=samples))
