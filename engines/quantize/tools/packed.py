"""Packed checkpoints as plain float weights: what an engine's kernel computes with, bit for bit.

`gptq` and `awq`: eight 4-bit numbers to an int32, weight = scale * (number - zero).
`gptq` packs along the inputs (qweight [in/8, out]) in plain order and stores zero - 1;
`awq` packs along the outputs (qweight [in, out/8]) in the order 0 2 4 6 1 3 5 7 and stores zero itself.
`compressed-tensors`: int8 or float8 numbers as they are (weight [out, in]), or, pack-quantized, eight 4-bit numbers
to an int32 along the inputs (weight_packed [out, in/8]) with a zero of 8; weight_scale is [out, groups].
Sources: AutoGPTQ `qlinear_cuda_old.py`, AutoAWQ `utils/packing_utils.py`, compressed-tensors
`compressors/pack_quantized/helpers.py`; checked against auto-round's kernels. Used by `measure`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file

Tensors = dict[str, torch.Tensor]

_AWQ_POSITION = (0, 4, 1, 5, 2, 6, 3, 7)
_PLAIN_POSITION = tuple(range(8))
_INT4_ZERO = 8
_PARTS = (".qweight", ".qzeros", ".scales", ".g_idx")


def _numbers(packed: torch.Tensor, positions: tuple[int, ...] = _PLAIN_POSITION) -> torch.Tensor:
    """Eight numbers for each int32, on a new last axis."""
    shifts = torch.tensor([4 * position for position in positions], dtype=torch.int32)
    return (packed.unsqueeze(-1) >> shifts) & 15


def _gptq(qweight: torch.Tensor, qzeros: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    """[out, in] float32 from qweight [in/8, out], qzeros [groups, out/8], scales [groups, out]."""
    numbers = _numbers(qweight).permute(0, 2, 1).reshape(-1, qweight.shape[1])
    return _scaled(numbers, _numbers(qzeros).flatten(1) + 1, scales)


def _awq(qweight: torch.Tensor, qzeros: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    """[out, in] float32 from qweight [in, out/8], qzeros [groups, out/8], scales [groups, out]."""
    return _scaled(_numbers(qweight, _AWQ_POSITION).flatten(1), _numbers(qzeros, _AWQ_POSITION).flatten(1), scales)


def _scaled(numbers: torch.Tensor, zeros: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    group_size = numbers.shape[0] // scales.shape[0]
    zeros = zeros.repeat_interleave(group_size, dim=0)
    wide = scales.float().repeat_interleave(group_size, dim=0)
    return ((numbers - zeros).float() * wide).t().contiguous()


UNPACK: dict[str, Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]] = {"gptq": _gptq, "awq": _awq}


def float_weights(checkpoint: Path, method: str) -> Tensors:
    """All weights of `checkpoint` in float32 under their plain names. Raises KeyError for an unknown method."""
    tensors: Tensors = {}
    for shard in sorted(checkpoint.glob("*.safetensors")):
        tensors.update(load_file(shard))
    return _compressed(tensors) if method == "compressed-tensors" else _grouped(tensors, UNPACK[method])


def _grouped(tensors: Tensors, unpack: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]) -> Tensors:
    names = [name.removesuffix(".qweight") for name in tensors if name.endswith(".qweight")]
    weights = {name: value.float() for name, value in tensors.items() if not name.endswith(_PARTS)}
    for name in names:
        weights[f"{name}.weight"] = unpack(*(tensors[name + part] for part in _PARTS[:3]))
    return weights


def _compressed(tensors: Tensors) -> Tensors:
    rounded = {name.removesuffix("_scale"): scale for name, scale in tensors.items() if name.endswith(".weight_scale")}
    extra = tuple(f"{name}_{part}" for name in rounded for part in ("scale", "packed", "shape", "zero_point"))
    weights = {name: value.float() for name, value in tensors.items() if name not in extra}
    for name, scale in rounded.items():
        packed = tensors.get(f"{name}_packed")
        numbers = weights[name] if packed is None else (_numbers(packed).flatten(1) - _INT4_ZERO).float()
        weights[name] = numbers * scale.float().repeat_interleave(numbers.shape[1] // scale.shape[1], dim=1)
    return weights
