"""Which linear layers a model has, and how wide they are: from the headers of its checkpoint, else from its config.

Called by `doctor`, through whoever knows where the model lies. No weights are read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from engines import plainfile, safetensors
from engines.memory import gguf
from engines.memory.architecture import Architecture, ArchitectureUnknown, from_config
from engines.safetensors import Tensor

Width = tuple[int, int]
"""(in, out)."""

_LAYER: Final = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.[0-9]+\..+")
_FULL: Final = frozenset({"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2", "I8"})
"""Types of weights that lie in the file one number beside the other."""
_PACKED: Final = ("qweight", "weight_packed")
_LIKE_LLAMA: Final = frozenset({"llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "smollm3"})
"""`model_type`s whose layers are named and sized as `Architecture.projections` says."""
_PROJECTIONS: Final = (
    *("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"),
    *("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"),
)
"""In the order of `Architecture.projections`."""


class ModulesUnknown(ValueError):
    """The checkpoint does not say; the message says why."""


@dataclass(frozen=True, slots=True)
class Modules:
    """Invariant: a module that is not in `widths` does not exist, unless `open_ended`."""

    widths: Mapping[str, Width | None]
    """By name; None: its width cannot be told from the packed weights."""
    open_ended: bool = False
    """Only some of its modules are known."""
    ends: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By what a name is from its layer on: the whole names. A model's code may put them under another root."""

    def find(self, module: str) -> tuple[str, ...]:
        """The checkpoint's names for `module`; several where only the ends of the names agree; none: it has none."""
        if module in self.widths:
            return (module,)
        return self.ends.get(_end(module), ())

    def has_leaf(self, leaf: str) -> bool:
        """Whether any module ends so."""
        return any(name == leaf or name.endswith(f".{leaf}") for name in self.widths)


def modules(widths: Mapping[str, Width | None], *, open_ended: bool = False) -> Modules:
    """With the ends of the names worked out."""
    ends: dict[str, tuple[str, ...]] = {}
    for name in widths:
        ends[_end(name)] = (*ends.get(_end(name), ()), name)
    return Modules(widths, open_ended, ends)


def _end(module: str) -> str:
    found = _LAYER.search(module)
    return found.group().removeprefix(".") if found else module.rpartition(".")[2]


def of_model(path: Path) -> Modules:
    """Of the checkpoint folder or GGUF file at `path`. Raises `ModulesUnknown`."""
    try:
        if not path.is_dir():
            return from_sizes(gguf.config(path))
        config = _config(path / "config.json")
        files = sorted(path.glob("*.safetensors"))
        tensors = {name: tensor for file in files for name, tensor in safetensors.read(file).items()}
    except (OSError, ValueError, RecursionError) as fault:
        raise ModulesUnknown(f"{path}: {fault}") from None
    return from_tensors(tensors, config) if tensors else from_sizes(config)


def from_sizes(config: Mapping[str, Any]) -> Modules:
    """As a configuration of a known kind has them. Raises `ModulesUnknown`."""
    kind = config.get("model_type")
    if kind not in _LIKE_LLAMA:
        raise ModulesUnknown(f"the layers of a {kind} are not known without its checkpoint's files")
    try:
        sizes = from_config(config)
    except ArchitectureUnknown as unknown:
        raise ModulesUnknown(str(unknown)) from None
    return modules(dict(_usual(sizes)), open_ended=True)


def _usual(sizes: Architecture) -> Iterator[tuple[str, Width]]:
    for layer in range(sizes.layers):
        for name, width in zip(_PROJECTIONS, sizes.projections(), strict=True):
            yield f"model.layers.{layer}.{name}", width
    yield from _embeddings("model.embed_tokens", sizes.hidden, sizes.vocabulary)


def _embeddings(name: str, hidden: int, vocabulary: int) -> Iterator[tuple[str, Width]]:
    """The input embedding, and the output layer, which may be the same tensor under a name of its own."""
    yield name, (vocabulary, hidden)
    yield "lm_head", (hidden, vocabulary)


def from_tensors(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Modules:
    """As the headers of a checkpoint have them; packed layers are as wide as a configuration of a known kind says."""
    try:
        usual: Mapping[str, Width | None] = from_sizes(config).widths
    except ModulesUnknown:
        usual = {}
    found: dict[str, Width | None] = {}
    for name, tensor in tensors.items():
        module, _, part = name.rpartition(".")
        if part in _PACKED:
            found[module] = usual.get(module)
        elif part == "weight" and len(tensor.shape) == 2:
            found[module] = (tensor.shape[1], tensor.shape[0]) if tensor.dtype in _FULL else usual.get(module)
            if module.endswith("embed_tokens"):
                found |= dict(_embeddings(module, tensor.shape[1], tensor.shape[0]))
    return modules(found)


def _config(path: Path) -> Mapping[str, Any]:
    config = json.loads(plainfile.content(path))
    if not isinstance(config, dict):
        raise ModulesUnknown(f"{path} is no JSON object")
    return config
