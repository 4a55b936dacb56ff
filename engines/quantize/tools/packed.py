"""Packed int4 checkpoints as plain float weights: what an engine's kernel computes with, bit for bit.

Two layouts, both eight 4-bit numbers to an int32, weight = scale * (number - zero):
`gptq` packs along the inputs (qweight [in/8, out]) in plain order and stores zero - 1;
`awq` packs along the outputs (qweight [in, out/8]) in the order 0 2 4 6 1 3 5 7 and stores zero itself.
Sources: AutoGPTQ `qlinear_cuda_old.py`, AutoAWQ `utils/packing_utils.py`; checked against auto-round's kernels.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file

_AWQ_POSITION = (0, 4, 1, 5, 2, 6, 3, 7)
_PARTS = (".qweight", ".qzeros", ".scales", ".g_idx")


def _numbers(packed: torch.Tensor, positions: tuple[int, ...]) -> torch.Tensor:
    """Eight numbers for each int32, on a new last axis."""
    shifts = torch.tensor([4 * position for position in positions], dtype=torch.int32)
    return (packed.unsqueeze(-1) >> shifts) & 15


def _gptq(qweight: torch.Tensor, qzeros: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    """[out, in] float32 from qweight [in/8, out], qzeros [groups, out/8], scales [groups, out]."""
    plain = tuple(range(8))
    numbers = _numbers(qweight, plain).permute(0, 2, 1).reshape(-1, qweight.shape[1])
    zeros = _numbers(qzeros, plain).flatten(1) + 1
    return _scaled(numbers, zeros, scales)


def _awq(qweight: torch.Tensor, qzeros: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    """[out, in] float32 from qweight [in, out/8], qzeros [groups, out/8], scales [groups, out]."""
    return _scaled(_numbers(qweight, _AWQ_POSITION).flatten(1), _numbers(qzeros, _AWQ_POSITION).flatten(1), scales)


def _scaled(numbers: torch.Tensor, zeros: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    group_size = numbers.shape[0] // scales.shape[0]
    zeros = zeros.repeat_interleave(group_size, dim=0)
    wide = scales.float().repeat_interleave(group_size, dim=0)
    return ((numbers - zeros).float() * wide).t().contiguous()


UNPACK: dict[str, Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]] = {"gptq": _gptq, "awq": _awq}


def float_weights(checkpoint: Path, layout: str) -> dict[str, torch.Tensor]:
    """All weights of `checkpoint` in float32 under their plain names. Raises KeyError for an unknown layout."""
    unpack = UNPACK[layout]
    tensors: dict[str, torch.Tensor] = {}
    for shard in sorted(checkpoint.glob("*.safetensors")):
        tensors.update(load_file(shard))
    names = [name.removesuffix(".qweight") for name in tensors if name.endswith(".qweight")]
    weights = {name: value.float() for name, value in tensors.items() if not name.endswith(_PARTS)}
    for name in names:
        weights[f"{name}.weight"] = unpack(*(tensors[name + part] for part in _PARTS[:3]))
    return weights
