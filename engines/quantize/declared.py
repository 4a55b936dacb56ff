"""What a checkpoint's config.json says of its quantization and its sizes. Pure; called by `weights` and the CLI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

COMPRESSED: Final = "compressed-tensors"
COMPRESSED_FP8: Final = "compressed-tensors fp8"
"""FP8 as compressed-tensors has it, whatever its scales: other tensors than those of `quant_method: fp8`."""
_MATRICES: Final = ("hidden_size", "intermediate_size")
_KINDS: Final[Mapping[tuple[object, object, bool], str]] = {
    ("int", 4, False): "w4a16",
    ("int", 8, True): "w8a8",
    ("float", 8, True): "fp8",
}
"""By the type and bits of the weights, and whether activations are rounded too."""
_BESIDE_EXPERTS: Final = ("attn", "attention", "expert")
"""A rule names attention by one of these; or everything but experts, by a pattern."""


def declared(config: Mapping[str, Any]) -> str | None:
    """The layout that a checkpoint's config.json names; None where it is not quantized.

    compressed-tensors is a family of layouts: what is uniform and has a name here is called by it, the rest is
    `compressed-tensors`. What other tools write is called as they do.
    """
    quantization = _quantization(config)
    if not quantization:
        return None
    method = str(quantization.get("quant_method", "unknown"))
    return _kind(quantization) if method == COMPRESSED else method


def words(config: Mapping[str, Any]) -> tuple[str, ...]:
    """All that engines' rules may call it by: the layout, and `COMPRESSED_FP8` where the first group is that."""
    layout, quantization = declared(config), _quantization(config)
    if layout is None or quantization.get("quant_method") != COMPRESSED:
        return (layout,) if layout else ()
    groups = quantization.get("config_groups")
    group = groups.get("group_0") if isinstance(groups, Mapping) else None
    weights = group.get("weights") if isinstance(group, Mapping) else None
    float8 = isinstance(weights, Mapping) and (weights.get("type"), weights.get("num_bits")) == ("float", 8)
    return (layout, COMPRESSED_FP8) if float8 else (layout,)


def only_experts(config: Mapping[str, Any]) -> bool:
    """Whether maybe nothing but a mixture's experts is quantized: `ignore` of compressed-tensors names attention.

    Its rules are names and patterns, which only who builds the model can hold against its layers: in doubt, yes.
    """
    quantization = _quantization(config)
    rules = quantization.get("ignore") if quantization.get("quant_method") == COMPRESSED else None
    return isinstance(rules, list) and any(part in str(rule) for rule in rules for part in _BESIDE_EXPERTS)


def sizes(config: Mapping[str, Any]) -> dict[str, int]:
    """How wide the matrices are that groups of weights must divide, by the config's own names; empty where silent."""
    return {name: config[name] for name in _MATRICES if isinstance(config.get(name), int)}


def _quantization(config: Mapping[str, Any]) -> Mapping[str, Any]:
    found = config.get("quantization_config") or config.get("compression_config")
    return found if isinstance(found, Mapping) else {}


def _kind(quantization: Mapping[str, Any]) -> str:
    groups = quantization.get("config_groups")
    found = {_of(group) for group in groups.values()} if isinstance(groups, Mapping) else set()
    return found.pop() if len(found) == 1 else COMPRESSED


def _of(group: object) -> str:
    if not isinstance(group, Mapping) or not isinstance(group.get("weights"), Mapping):
        return COMPRESSED
    weights = group["weights"]
    kind, bits = weights.get("type"), weights.get("num_bits")
    if not isinstance(kind, str) or not isinstance(bits, int):
        return COMPRESSED
    return _KINDS.get((kind, bits, bool(group.get("input_activations"))), COMPRESSED)
