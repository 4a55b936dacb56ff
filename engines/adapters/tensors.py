"""The names of an adapter's tensors → its modules, each with its pair of matrices. Pure. Called by `doctor`.

Names: peft/utils/save_and_load.py (`get_peft_model_state_dict`), peft/tuners/lora/layer.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from engines.adapters.config import AdapterConfig
from engines.adapters.findings import Finding, Reason
from engines.safetensors import Tensor

PREFIX: Final = "base_model.model."
"""Before every name that PEFT writes."""
DTYPES: Final = frozenset({"F32", "F16", "BF16"})
"""What engines turn into the type that they compute in."""
EMBEDDINGS: Final = frozenset({"embed_tokens", "lm_head"})
HEADS: Final = frozenset({"score", "classifier"})
"""What turns a model into a classifier: the one thing that is trained whole and can be served."""

_MATRIX: Final = re.compile(
    r"(?P<module>.+)\.(?:lora_(?P<linear>[AB])\.weight|lora_embedding_(?P<embedding>[AB]))", re.ASCII
)
_WHOLE: Final = re.compile(r"(?P<module>.+?)(?:\.base_layer)?\.(?P<part>weight|bias)", re.ASCII)
_INDEX: Final = re.compile(r"(?<=\.)[0-9]+(?=\.)")


@dataclass(slots=True)
class Pair:
    """What is added to one module: `b` times `a`. While it is read, either may be missing."""

    module: str
    """As its model calls it."""
    a: Tensor | None = None
    b: Tensor | None = None
    embedding: bool = False

    @property
    def leaf(self) -> str:
        """The last part of its name: `q_proj`."""
        return self.module.rpartition(".")[2]

    @property
    def kind(self) -> str:
        """Its name with `*` for layers and experts."""
        return _INDEX.sub("*", self.module)


@dataclass(slots=True)
class Contents:
    """What was found in the weights."""

    pairs: dict[str, Pair] = field(default_factory=dict)
    """By module."""
    saved: dict[str, str] = field(default_factory=dict)
    """Modules that are there as a whole → the tensor's name."""
    findings: list[Finding] = field(default_factory=list)


def sort(tensors: Mapping[str, Tensor]) -> Contents:
    """Every tensor put where it belongs; what belongs nowhere is a finding."""
    contents = Contents()
    for name, tensor in tensors.items():
        if finding := _place(name, tensor, contents):
            contents.findings.append(finding)
    if not contents.pairs and not contents.findings:
        said = "it holds no LoRA matrices: save the adapter again, after training"
        contents.findings.append(Finding(Reason.WEIGHTS_MISSING, "its tensors", said))
    return contents


def _place(name: str, tensor: Tensor, contents: Contents) -> Finding | None:
    ours = name.removeprefix(PREFIX)
    if matrix := _MATRIX.fullmatch(ours) if name.startswith(PREFIX) else None:
        module, which = matrix["module"], matrix["linear"] or matrix["embedding"]
        pair = contents.pairs.setdefault(module, Pair(module))
        pair.embedding = pair.embedding or matrix["embedding"] is not None
        pair.a, pair.b = (tensor, pair.b) if which == "A" else (pair.a, tensor)
        return None
    whole = _WHOLE.fullmatch(ours)
    if whole and name.startswith(PREFIX) and ".lora_" not in name:
        return _keep(name, whole["module"], whole["part"], contents)
    said = next((each for each in _KNOWN if each[0] in name), None)
    return Finding(said[1], shown(name), said[2]) if said else Finding(Reason.TENSOR_UNEXPECTED, shown(name), _STRANGE)


def _keep(name: str, module: str, part: str, contents: Contents) -> Finding | None:
    """A tensor of the model itself, trained whole."""
    leaf = module.rpartition(".")[2]
    if leaf in EMBEDDINGS:
        return Finding(Reason.EMBEDDING_RESIZED, shown(name), _EMBEDDED)
    if part == "bias" and leaf not in HEADS:
        return Finding(Reason.BIAS, shown(name), "is a trained bias: train with bias='none'")
    contents.saved[module] = name
    return None


_KNOWN: Final = (
    (".lora_magnitude_vector", Reason.DORA, "belongs to DoRA, which no engine serves: merge it, or train a LoRA"),
    (".lora_A.bias", Reason.BIAS, "is a bias of LoRA itself: train with lora_bias=False"),
    (".lora_B.bias", Reason.BIAS, "is a bias of LoRA itself: train with lora_bias=False"),
)
"""What else PEFT writes, by a part of its name."""
_STRANGE: Final = "is no tensor of a LoRA that PEFT has written: save the adapter again with PEFT"
_EMBEDDED: Final = (
    "is an embedding of its own, which no engine puts in place of the model's: train without new tokens, and save "
    "with save_embedding_layers=False"
)


def faults(contents: Contents, config: AdapterConfig | None) -> Iterator[Finding]:
    """What is wrong with the pairs by themselves, and against the configuration."""
    yield from contents.findings
    for pair in contents.pairs.values():
        where = shown(pair.module)
        if pair.a is None or pair.b is None:
            lost = "lora_A" if pair.a is None else "lora_B"
            said = f"has no {lost}, so that nothing can be added: the file is not whole; copy it again"
            yield Finding(Reason.PAIR_INCOMPLETE, where, said)
        for tensor in (pair.a, pair.b):
            if tensor is not None and tensor.dtype not in DTYPES:
                said = f"has numbers of the type {shown(tensor.dtype)}: save it as float32, float16 or bfloat16"
                yield Finding(Reason.DTYPE_UNSUPPORTED, where, said)
        if pair.a is not None and pair.b is not None:
            yield from _matrices(pair, pair.a, pair.b, config)
        if config is not None and config.targets and not _targeted(pair.module, config.targets):
            said = "is not among its target_modules: configuration and weights are of two different adapters"
            yield Finding(Reason.TENSOR_UNEXPECTED, where, said)


def _matrices(pair: Pair, a: Tensor, b: Tensor, config: AdapterConfig | None) -> Iterator[Finding]:
    where = shown(pair.module)
    if len(a.shape) != 2 or len(b.shape) != 2 or not a.elements or not b.elements:
        said = f"has matrices of the shapes {_by(a)} and {_by(b)}: save the adapter again with PEFT"
        yield Finding(Reason.SHAPE_WRONG, where, said)
        return
    rank = config.rank_of(pair.module) if config else a.shape[0]
    if (a.shape[0], b.shape[1]) != (rank, rank):
        said = (
            f"has matrices {_by(a)} and {_by(b)}, and its rank is {rank}: configuration and weights do not belong "
            "together; save both again"
        )
        yield Finding(Reason.SHAPE_WRONG, where, said)


def _targeted(module: str, targets: tuple[str, ...]) -> bool:
    return any(module == target or module.endswith(f".{target}") for target in targets)


def _by(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "none"


def shown(name: str) -> str:
    """A name out of a file that nobody vouches for: short, and without anything that a terminal would act on."""
    text = ascii(name)[1:-1]
    return text if len(text) <= 120 else f"{text[:60]}…{text[-57:]}"
