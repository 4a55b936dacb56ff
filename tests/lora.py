"""Crafted LoRA adapters as PEFT saves them, byte by byte and without PEFT: for every test that needs one.

The model below has the dimensions of SmolLM2-135M; fewer layers make a smaller file.
"""

from __future__ import annotations

import json
import math
import random
import struct
from array import array

HIDDEN, INNER, HEADS, KV_HEADS, LAYERS, VOCABULARY = 576, 1536, 9, 3, 30, 49152
KEYS = HIDDEN // HEADS * KV_HEADS
WIDTHS = {
    "self_attn.q_proj": (HIDDEN, HIDDEN),
    "self_attn.k_proj": (HIDDEN, KEYS),
    "self_attn.v_proj": (HIDDEN, KEYS),
    "self_attn.o_proj": (HIDDEN, HIDDEN),
    "mlp.gate_proj": (HIDDEN, INNER),
    "mlp.up_proj": (HIDDEN, INNER),
    "mlp.down_proj": (INNER, HIDDEN),
}
"""(in, out) of each linear layer of a block."""
OCTETS = {"F32": 4, "F16": 2, "BF16": 2, "I8": 1, "F64": 8}
CONFIG = {
    "peft_type": "LORA",
    "base_model_name_or_path": "HuggingFaceTB/SmolLM2-135M-Instruct",
    "task_type": "CAUSAL_LM",
    "r": 4,
    "lora_alpha": 8,
    "lora_dropout": 0.0,
    "target_modules": ["q_proj", "v_proj"],
    "bias": "none",
    "use_dora": False,
    "use_rslora": False,
    "modules_to_save": None,
    "rank_pattern": {},
    "alpha_pattern": {},
    "init_lora_weights": True,
    "fan_in_fan_out": False,
    "layers_to_transform": None,
    "inference_mode": True,
}
"""What `save_pretrained` writes, as far as anybody reads it."""


def config(**changes):
    """An `adapter_config.json`; a change to `...` takes the field out."""
    return {name: value for name, value in {**CONFIG, **changes}.items() if value is not ...}


def tensors(targets=("self_attn.q_proj", "self_attn.v_proj"), rank=4, layers=LAYERS, dtype="BF16"):
    """Name → (dtype, shape) of a whole adapter."""
    found = {}
    for layer in range(layers):
        for target in targets:
            inner, outer = WIDTHS[target]
            name = f"base_model.model.model.layers.{layer}.{target}"
            found[f"{name}.lora_A.weight"] = (dtype, (rank, inner))
            found[f"{name}.lora_B.weight"] = (dtype, (outer, rank))
    return found


def numbers(dtype, count, seed=0):
    """`count` small finite numbers as bytes, little-endian."""
    chance = random.Random(seed)
    drawn = [chance.uniform(-0.05, 0.05) for _ in range(min(count, 997))]
    values = (drawn * (count // len(drawn) + 1))[:count] if drawn else []
    if dtype in {"F32", "F64"}:
        return array("f" if dtype == "F32" else "d", values).tobytes()
    if dtype == "BF16":
        return b"".join(struct.pack("<f", value)[2:] for value in values)
    return struct.pack(f"<{count}e", *values) if dtype == "F16" else bytes(count * OCTETS.get(dtype, 1))


def packed(shapes, contents=None, metadata=None):
    """A safetensors file with tensors of these types and shapes; `contents` replaces the bytes of some."""
    entries, parts, at = {"__metadata__": metadata or {"format": "pt"}}, [], 0
    for position, (name, (dtype, shape)) in enumerate(shapes.items()):
        part = (contents or {}).get(name)
        if part is None:
            part = numbers(dtype, math.prod(shape), position)
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + len(part)]}
        parts.append(part)
        at += len(part)
    header = json.dumps(entries, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header + b"".join(parts)


def write(folder, settings=None, shapes=None, contents=None):
    """An adapter in `folder`: a sound one for SmolLM2-135M where nothing else is said."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps(settings if settings is not None else config()))
    (folder / "adapter_model.safetensors").write_bytes(packed(shapes if shapes is not None else tensors(), contents))
    return folder


def checkpoint(folder, layers=LAYERS, name=""):
    """The model below, as a folder whose tensors are holes in a sparse file."""
    folder.mkdir(parents=True, exist_ok=True)
    entries, at = {}, 0
    shapes = {"model.embed_tokens.weight": (VOCABULARY, HIDDEN), "model.norm.weight": (HIDDEN,)}
    for layer in range(layers):
        for target, (inner, outer) in WIDTHS.items():
            shapes[f"model.layers.{layer}.{target}.weight"] = (outer, inner)
        shapes[f"model.layers.{layer}.input_layernorm.weight"] = (HIDDEN,)
    for tensor, shape in shapes.items():
        size = 2 * math.prod(shape)
        entries[tensor] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    header = json.dumps(entries).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + at)
    (folder / "config.json").write_text(
        json.dumps(model_config(layers) | ({"_model_name_or_path": name} if name else {}))
    )
    return folder


def model_config(layers=LAYERS):
    """SmolLM2-135M's config.json, as far as anybody here reads it."""
    return {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": HIDDEN,
        "intermediate_size": INNER,
        "num_hidden_layers": layers,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "vocab_size": VOCABULARY,
        "tie_word_embeddings": True,
    }
