"""What engines do to the inputs of a layer of w8a8 or fp8 weights: round them, one scale for each token.

As vLLM's dynamic per-token quantization does (`csrc/quantization/w8a8/`): scale = largest magnitude / largest number.
Used by `measure`; the layers' own arithmetic stays float32.
"""

from __future__ import annotations

from typing import Any

import torch

_LARGEST_INT8 = 127.0
_SMALLEST_SCALE = 1e-12


def round_activations(model: Any, quantization: dict[str, Any]) -> None:
    """Have every quantized layer of `model` round what it is given, as its `quantization_config` says."""
    groups = quantization.get("config_groups", {}).values()
    kinds = {group["input_activations"]["type"] for group in groups if group.get("input_activations")}
    head = model.get_output_embeddings()
    for kind in kinds:
        for layer in model.modules():
            if isinstance(layer, torch.nn.Linear) and layer is not head:
                layer.register_forward_pre_hook(_int8 if kind == "int" else _fp8)


def _int8(_layer: Any, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    scale = (given[0].abs().amax(dim=-1, keepdim=True) / _LARGEST_INT8).clamp_min(_SMALLEST_SCALE)
    return (torch.round(given[0] / scale).clamp(-_LARGEST_INT8 - 1, _LARGEST_INT8) * scale, *given[1:])


def _fp8(_layer: Any, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    largest = torch.finfo(torch.float8_e4m3fn).max
    scale = (given[0].abs().amax(dim=-1, keepdim=True) / largest).clamp_min(_SMALLEST_SCALE)
    return ((given[0] / scale).clamp(-largest, largest).to(torch.float8_e4m3fn).float() * scale, *given[1:])
