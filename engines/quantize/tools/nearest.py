"""Rounds every linear layer to the nearest number of 8 bits and packs it as compressed-tensors does.

Called by `quantize` for the layouts without a search: w8a8 and fp8. One scale for each row of weights; what goes into
a layer is rounded by the engine while it runs, one scale for each token. compressed-tensors, the library that defines
these layouts and that llm-compressor writes them with, counts the scales and packs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from compressed_tensors.compressors import compress_module
from compressed_tensors.quantization import QuantizationConfig, QuantizationScheme, preset_name_to_scheme
from compressed_tensors.quantization.utils import calculate_qparams

from .reporting import Lines

_PRESETS = {"w8a8": "W8A8", "fp8": "FP8_DYNAMIC"}
"""Per-row weights, per-token activations, both symmetric."""


def write(model: Any, target: Path, layout: str, lines: Lines) -> None:
    """Pack `model`, float32 and spent by it, as `layout` into the folder `target`."""
    scheme = preset_name_to_scheme(_PRESETS[layout], ["Linear"])
    head = model.get_output_embeddings()
    layers = [each for each in model.modules() if isinstance(each, torch.nn.Linear) and each is not head]
    for done, layer in enumerate(layers, 1):
        _pack(layer, scheme)
        lines.progress(f"rounding layer {done}/{len(layers)}", 0.1 + 0.8 * done / len(layers))
    config = QuantizationConfig.from_pretrained(model, format=layers[0].quantization_scheme.format).to_dict()
    model.config.quantization_config = config
    lines.progress("writing the checkpoint", 0.9)
    model.save_pretrained(target)


@torch.no_grad()  # type: ignore[untyped-decorator]
def _pack(layer: Any, scheme: QuantizationScheme) -> None:
    layer.quantization_scheme = scheme.model_copy(deep=True)
    weight = layer.weight
    scale, zero = calculate_qparams(weight.amin(dim=1, keepdim=True), weight.amax(dim=1, keepdim=True), scheme.weights)
    layer.weight_scale = torch.nn.Parameter(scale, requires_grad=False)
    layer.weight_zero_point = torch.nn.Parameter(zero, requires_grad=False)
    compress_module(layer)
