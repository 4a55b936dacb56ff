"""What a checkpoint folder or a GGUF file says about the memory it will take. Reads configs and headers, no weights.

Called by the supervisor before a worker starts and by `enginehouse check`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from engines import plainfile, safetensors
from engines.memory import gguf
from engines.memory.architecture import Architecture, ArchitectureUnknown, from_config
from engines.safetensors import Tensor

_FLOATS: Final = frozenset({"F64", "F32", "F16", "BF16"})


class FactsUnknown(ValueError):
    """No figures can be had from these files; the message says why."""


class Damaged(FactsUnknown):
    """A file of the checkpoint is not what it claims to be: no engine would load it."""


@dataclass(frozen=True, slots=True)
class Facts:
    """A checkpoint in numbers."""

    architecture: Architecture
    dtype: str
    """What its config calls the type of its numbers; `auto` where it is silent."""
    packed: int
    """Bytes of weights that stay as they are in the file: quantized ones."""
    floating: int
    """Numbers that an engine holds in the type it computes in."""

    def weights(self, element: int) -> int:
        """Bytes in memory where the engine computes in numbers of `element` bytes."""
        return self.packed + self.floating * element


def facts(path: Path, bits: int = 16, group: int = 0) -> Facts:
    """Of a checkpoint folder (from its headers) or a GGUF file, an unquantized source of weights of `bits`.

    `bits` and `group` say what will be made of it, if that is not what it is. Raises `FactsUnknown`, `Damaged`.
    """
    try:
        if path.is_dir():
            found = _of_folder(path)
        else:
            config = gguf.config(path)
            found = by_formula(from_config(config), "float16")
        if bits < 16 and not found.packed:
            found = by_formula(found.architecture, found.dtype, bits, group)
    except (OSError, ArchitectureUnknown, gguf.GgufRefused) as fault:
        raise FactsUnknown(str(fault)) from None
    return found


def by_formula(architecture: Architecture, dtype: str, bits: int = 16, group: int = 0) -> Facts:
    """What an architecture's weights take: MODELS.md's formula, within 0.5 % of the files it was held against.

    Quantized: the linear layers in `bits`, a 16-bit scale for each `group` of them and, packed, one zero point.
    """
    each = architecture
    attention = sum(one * other for one, other in each.projections()[:4])
    inner = 3 * each.hidden * each.inner
    if each.experts:
        inner = 3 * each.hidden * each.expert_inner * each.experts + each.hidden * each.experts
    linear = each.layers * (attention + inner)
    floating = each.vocabulary * each.hidden * (1 if each.tied else 2) + (2 * each.layers + 1) * each.hidden
    if bits >= 16:
        return Facts(each, dtype, 0, linear + floating)
    scales = linear // group if group else 0
    return Facts(each, dtype, (linear + scales) * bits // 8, floating + scales)


def of_tensors(tensors: Iterable[tuple[str, Tensor]], architecture: Architecture, dtype: str) -> Facts:
    """The same from the headers of a checkpoint's files. A tied output layer is not loaded a second time."""
    packed = floating = 0
    for name, tensor in tensors:
        if architecture.tied and name.endswith("lm_head.weight"):
            continue
        if tensor.dtype in _FLOATS:
            floating += tensor.elements
        else:
            packed += tensor.octets
    return Facts(architecture, dtype, packed, floating)


def _of_folder(path: Path) -> Facts:
    config = _config(path / "config.json")
    architecture = from_config(config)
    dtype = str(config.get("dtype") or config.get("torch_dtype") or "auto")
    files = sorted(path.glob("*.safetensors"))
    if not files:
        return by_formula(architecture, dtype)
    return of_tensors((each for file in files for each in _tensors(file).items()), architecture, dtype)


def _tensors(file: Path) -> Mapping[str, Tensor]:
    try:
        return safetensors.read(file)
    except safetensors.HeaderRefused as damage:
        raise Damaged(f"{file}: {damage}") from None


def _config(path: Path) -> Mapping[str, Any]:
    if not path.exists():
        raise FactsUnknown(f"{path.parent} is no checkpoint: it has no {path.name}")
    try:
        config = json.loads(plainfile.content(path))
    except (ValueError, RecursionError) as fault:
        raise FactsUnknown(f"{path} is not JSON: {fault}") from None
    if not isinstance(config, dict):
        raise FactsUnknown(f"{path} is no JSON object")
    return config
