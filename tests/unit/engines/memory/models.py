"""Checkpoints of known size for the planner's tests: a small real one by its config, and files with headers only."""

from __future__ import annotations

import json
import struct

from engines.memory.architecture import from_config
from engines.memory.checkpoint import by_formula
from engines.memory.estimate import Wish

SMOLLM2 = {
    "model_type": "llama",
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "max_position_embeddings": 8192,
    "vocab_size": 49152,
    "tie_word_embeddings": True,
    "dtype": "bfloat16",
}
"""SmolLM2-135M-Instruct's config.json, as far as memory goes."""
FACTS = by_formula(from_config(SMOLLM2), "bfloat16", bits=4, group=32)
WISH = Wish(engine="vllm", device="cpu", layout="awq", context=2048, sequences=16, slots=4, rank=16)


def header(**tensors):
    """The bytes of a safetensors header: name → (dtype, shape, octets)."""
    entries, at = {"__metadata__": {"format": "pt"}}, 0
    for name, (dtype, shape, octets) in tensors.items():
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + octets]}
        at += octets
    return json.dumps(entries).encode(), at


def write(folder, config=None, **tensors):
    """A checkpoint folder whose tensors are holes in a sparse file."""
    text, room = header(**tensors)
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(SMOLLM2 if config is None else config))
    with (folder / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + room)
    return folder
