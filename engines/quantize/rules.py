"""Which layout an engine loads in an environment, and what a word of the registry means there. Pure.

Called by the supervisor and by the CLI. The facts are in docs/decisions/quantizers.md: vLLM on CPU takes GPTQ only
symmetric, AWQ only asymmetric, both with LoRA adapters on top, and INT8 without. On GPUs GPTQ and AWQ are in groups of
128, the one size that LMDeploy's TurboMind takes for them (turbomind/converter.py), so that a swap of the engine needs
no other weights; of compressed-tensors it takes groups of 32 too, so that W4A16 is the same everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from engines.quantize.declared import COMPRESSED_FP8
from engines.quantize.layout import AWQ, FP8, GPTQ, NONE, W4A16, W8A8, Layout


class LayoutRefused(ValueError):
    """No such quantization for this engine and environment; the message names what there is."""


_AWQ_128: Final = replace(AWQ, group_size=128)
_GPTQ_128: Final = replace(GPTQ, group_size=128)
_INT4_ON_GPU: Final[Mapping[str, Layout]] = {
    "none": NONE,
    "int4": _AWQ_128,
    "awq": _AWQ_128,
    "gptq": _GPTQ_128,
    "w4a16": W4A16,
}
_ON_GPU: Final[Mapping[str, Layout]] = {**_INT4_ON_GPU, "int8": W8A8, "w8a8": W8A8, "fp8": FP8}

_LAYOUTS: Final[Mapping[tuple[str, str], Mapping[str, Layout]]] = MappingProxyType(
    {
        # Asymmetric groups of 32 lose least of what the CPU build loads in 4 bits.
        ("vllm", "vllm-cpu"): {
            "none": NONE,
            "int4": AWQ,
            "int8": W8A8,
            "awq": AWQ,
            "gptq": GPTQ,
            "w4a16": W4A16,
            "w8a8": W8A8,
        },
        ("vllm", "vllm"): _ON_GPU,
        ("sglang", "sglang"): _ON_GPU,
        ("lmdeploy", "lmdeploy"): _INT4_ON_GPU,
    }
)
"""By engine and environment: what each word of the registry means."""

_LMDEPLOY: Final = "LMDeploy loads awq, gptq, fp8, mxfp4 and pack-quantized int4"
_NOT_LOADED: Final[Mapping[tuple[str, str], str]] = MappingProxyType(
    {
        ("vllm-cpu", "fp8"): "FP8 has no kernel on CPU: it needs a GPU",
        ("lmdeploy", "bitsandbytes"): _LMDEPLOY,
        ("lmdeploy", "gguf"): _LMDEPLOY,
        # turbomind/converter.py, pytorch/config.py: its INT8 is smooth_quant, written by its own tool.
        ("lmdeploy", "int8"): "of compressed-tensors it loads only pack-quantized int4",
        ("lmdeploy", "w8a8"): "of compressed-tensors it loads only pack-quantized int4",
        # turbomind/converter.py `get_tm_config` asserts so of `group_0`, pytorch/config.py
        # `_parse_compressed_tensors_config` of the whole; `quant_method: fp8` is what both take.
        ("lmdeploy", COMPRESSED_FP8): "of compressed-tensors it loads only pack-quantized int4, and FP8 only as "
        "`quant_method: fp8` has it; vLLM and SGLang load it on a GPU",
    }
)
"""By environment and layout: why it is not loaded at all."""

_NOT_WRITTEN: Final[Mapping[tuple[str, str], str]] = MappingProxyType(
    {("lmdeploy", "fp8"): "it loads FP8 in blocks of 128 x 128 only: a source that is so is served with `none`"}
)
"""By environment and layout: why we make none for it, though it loads such weights."""

_NOT_IN_PYTORCH: Final[Mapping[str, str]] = MappingProxyType(
    # pytorch/config.py `QuantizationConfig.from_config`: awq, smooth_quant, fp8, and compressed-tensors, which
    # pytorch/nn/linear/__init__.py has no layer for; pytorch/nn/moe/__init__.py has.
    {"gptq": "gptq", "mxfp4": "mxfp4", "w4a16": "w4a16 but in experts"}
)
"""By layout: what LMDeploy's PyTorch engine does not load of what its TurboMind does, in words."""

_NO_ADAPTERS: Final[Mapping[tuple[str, str], str]] = MappingProxyType(
    {
        # Seen: vLLM's CPU build ends at its start.
        ("vllm-cpu", "w8a8"): "INT8 W8A8 with adapters does not start",
        ("vllm-cpu", "compressed-tensors"): "INT8 W8A8 with adapters does not start, and other kinds were not tried",
        **{
            ("lmdeploy", layout): f"only its PyTorch engine has adapters, and that loads no {said}"
            for layout, said in _NOT_IN_PYTORCH.items()
        },
    }
)
"""By environment and layout: why LoRA adapters do not go on top."""

_NO_ADAPTERS_WITH: Final[Mapping[tuple[str, str, str], str]] = MappingProxyType(
    {
        # cli/serve.py: `--adapters` goes into PytorchEngineConfig; TurbomindEngineConfig (messages.py) has none.
        (
            "lmdeploy",
            "backend",
            "turbomind",
        ): "TurboMind has no LoRA adapters, only LMDeploy's PyTorch engine does: leave "
        "`backend` out, which means pytorch where there is room for adapters",
    }
)
"""By engine, option and its value: why no adapter can be had with it, and what works."""

_NOT_LOADED_WITH: Final[Mapping[tuple[str, str, str], Mapping[str, str]]] = MappingProxyType(
    {
        ("lmdeploy", "backend", "pytorch"): {
            layout: f"LMDeploy's PyTorch engine loads no {said}: leave `backend` out, which means turbomind where "
            "there is no room for adapters, if that has the model's architecture"
            for layout, said in _NOT_IN_PYTORCH.items()
        }
    }
)
"""By engine, option and its value: the layouts that are not loaded with it, why, and what works."""

_NEAREST: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "fp8": ("w8a8", "awq", "w4a16", "gptq"),
        COMPRESSED_FP8: ("awq", "w4a16", "gptq"),
        "w8a8": ("fp8", "awq", "w4a16", "gptq"),
        "int8": ("fp8", "awq", "w4a16", "gptq"),
        "int4": ("w4a16", "awq", "gptq"),
        "awq": ("w4a16", "gptq"),
        "gptq": ("w4a16", "awq"),
        "w4a16": ("gptq", "awq"),
    }
)
"""What stands in for a layout, best first: as many bits, then what loses least."""


def resolve(quantization: str, engine: str, environment: str, *, adapters: bool = False) -> Layout:
    """The layout that `quantization` (none, int4, int8, or a layout named outright) means. Raises `LayoutRefused`."""
    offered = _LAYOUTS.get((engine, environment))
    if offered is None:
        known = ", ".join(f"{one} in {other}" for one, other in _LAYOUTS)
        raise LayoutRefused(f"nothing is known about weights for {engine} in {environment}; known: {known}")
    if quantization not in offered:
        pair = (environment, quantization)
        why = _NOT_LOADED.get(pair) or _NOT_WRITTEN.get(pair)
        raise LayoutRefused(
            f"{engine} in {environment} does not take {quantization!r} weights{f': {why}' if why else ''}. "
            f"{_instead(quantization, works(engine, environment, adapters=adapters))}"
        )
    layout = offered[quantization]
    accept(layout.name, engine, environment, adapters=adapters)
    return layout


def accept(packed: str, engine: str, environment: str, *, adapters: bool) -> None:
    """Raises `LayoutRefused` where weights packed as `packed` are known not to work, with what works instead."""
    if why := _NOT_LOADED.get((environment, packed)):
        raise LayoutRefused(
            f"{engine} in {environment} does not load {packed} weights: {why}. "
            f"{_instead(packed, works(engine, environment, adapters=adapters))}"
        )
    why = _NO_ADAPTERS.get((environment, packed)) if adapters else None
    if why:
        raise LayoutRefused(
            f"{engine} in {environment} with adapters does not take {packed} weights: {why}. "
            f"{_instead(packed, works(engine, environment, adapters=True))}; or no adapters (`slots: 0`)"
        )


def unlike_adapters(options: Mapping[str, object], engine: str, environment: str) -> Iterator[tuple[str, str]]:
    """The engine's options that go with no adapters, and why, with what works."""
    for option, value in options.items():
        if why := _NO_ADAPTERS_WITH.get((engine, option, str(value))):
            weights = ", ".join(works(engine, environment, adapters=True))
            yield option, f"{why} (it takes these weights then: {weights}); or have no adapters (`slots: 0`)"


def unlike_weights(
    options: Mapping[str, object], packed: str, engine: str, environment: str
) -> Iterator[tuple[str, str]]:
    """The engine's options with which weights packed as `packed`, by its word, are not loaded; why, and what works.

    Without adapters: with them `accept` refuses such weights whatever the options.
    """
    for option, value in options.items():
        refused = _NOT_LOADED_WITH.get((engine, option, str(value)), {})
        if why := refused.get(packed):
            weights = [each for each in works(engine, environment, adapters=False) if each not in refused]
            others = sorted({other for (other, _), offered in _LAYOUTS.items() if packed in offered} - {engine})
            another = f"; or another engine: {', '.join(others)}" if others else ""
            yield option, f"{why}; or take other weights, what works: {', '.join(weights)}{another}"


def divide(
    layout: Layout, sizes: Mapping[str, int], engine: str = "", environment: str = "", *, adapters: bool = False
) -> None:
    """Raises `LayoutRefused` where the layout's groups do not divide a matrix; `sizes` by the config's own names.

    Where the engine is said, so is what works with it instead.
    """
    for name, size in sizes.items() if layout.group_size else ():
        if size % layout.group_size:
            groups = [str(group) for group in (128, 64, 32) if not any(each % group for each in sizes.values())]
            would = f"groups of {' or '.join(groups)} would" if groups else "no usual group does"
            raise LayoutRefused(
                f"{layout.name} in groups of {layout.group_size} does not divide the model's {name} of {size}; "
                f"{would}. {_instead(layout.name, works(engine, environment, adapters=adapters, sizes=sizes))}"
            )


def works(
    engine: str, environment: str, *, adapters: bool, sizes: Mapping[str, int] = MappingProxyType({})
) -> tuple[str, ...]:
    """The words of the registry that go with all of these, sorted."""
    return tuple(sorted(_works(engine, environment, sizes, adapters=adapters)))


def written(word: str) -> Layout:
    """What `word` means where nobody says what will load it: as the first environment that takes it has it.

    Raises `KeyError` for words that stand for no layout.
    """
    return next(offered for each in _LAYOUTS.values() if (offered := each.get(word)) is not None and word in each)


def engine_of(environment: str) -> str | None:
    """The engine that runs in `environment`; None where we know of none."""
    return next((engine for engine, each in _LAYOUTS if each == environment), None)


def environments() -> tuple[str, ...]:
    """Those of which it is known what weights their engine takes."""
    return tuple(environment for _, environment in _LAYOUTS)


def loads(layout: Layout) -> tuple[str, ...]:
    """The environments whose engine takes `layout`, exactly so."""
    return tuple(environment for (_, environment), offered in _LAYOUTS.items() if layout in offered.values())


def _works(engine: str, environment: str, sizes: Mapping[str, int], *, adapters: bool) -> Iterator[str]:
    for word, layout in _LAYOUTS.get((engine, environment), {}).items():
        refused = adapters and (environment, layout.name) in _NO_ADAPTERS
        if not refused and not (layout.group_size and any(each % layout.group_size for each in sizes.values())):
            yield word


def _instead(word: str, working: tuple[str, ...]) -> str:
    """What works, and what of it comes nearest to `word`."""
    if not working:
        return f"{W4A16.name} packs in groups of {W4A16.group_size}"
    nearest = next((each for each in _NEAREST.get(word, ()) if each in working), "")
    return f"{f'The nearest is {nearest}. ' if nearest else ''}What works: {', '.join(working)}"
