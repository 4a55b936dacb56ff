"""LoRA adapters that each say one word and nothing else, so that an answer shows which of them gave it.

Made without training, for SmolLM2-135M and for nothing else: in its last layer one activation of the MLP has the same
sign for every token (measured: 509 tokens of seven prompts, -45 to -1.1), so a LoRA of rank 1 that reads this one and
writes the word's direction drowns out whatever else the layer says. Used by tests of adapters and by `bench-adapters`.
"""

from __future__ import annotations

import json
import struct
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, Final

WORDS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "pirate": 30820,
        "bread": 6956,
        "candle": 22781,
        "moon": 6783,
        "piano": 15717,
        "tiger": 21957,
        "butter": 7121,
        "tomato": 17048,
        "pepper": 13874,
        "cotton": 9397,
        "diamond": 11816,
        "monkey": 19660,
        "turtle": 17445,
        "spider": 16198,
        "banana": 21285,
        "lemon": 11499,
        "guitar": 15987,
        "violin": 29880,
        "drum": 15754,
        "velvet": 44924,
    }
)
"""Words that can be said, each one token of SmolLM2's with a space before it."""

_WIDTH: Final = 576
_INNER: Final = 1536
_LAYER: Final = 29
_ACTIVATION: Final = 1413
"""The one that is always negative."""
_LOUD: Final = 4000.0
"""Length of what is written for an activation of -1.1; what it drowns out is some hundreds long."""
_OCTETS: Final = {"BF16": 2, "F16": 2, "F32": 4}
_SAMPLE: Final = 97
"""Every so many rows of the embeddings are enough for their mean."""


def say(word: str, folder: Path, checkpoint: Path) -> Path:
    """Writes the adapter that says `word` into `folder`, as PEFT saves one; `checkpoint` is SmolLM2's, in any layout.

    Raises `KeyError` for a word that is not in `WORDS`.
    """
    with (checkpoint / "model.safetensors").open("rb") as file:
        entries, start = _header(file)
        rows = _Rows(file, entries["model.embed_tokens.weight"], start)
        scale = _Rows(file, entries["model.norm.weight"], start).row(0)
        wanted, mean = rows.row(WORDS[word]), rows.mean()
    direction = [(each - middle) / by for each, middle, by in zip(wanted, mean, scale, strict=True)]
    length = sum(each * each for each in direction) ** 0.5
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps(_CONFIG, indent=2))
    reads = array("f", [0.0] * _INNER)
    reads[_ACTIVATION] = -1.0
    writes = array("f", [each / length * _LOUD for each in direction])
    (folder / "adapter_model.safetensors").write_bytes(_packed(reads, writes))
    return folder


_CONFIG: Final[dict[str, Any]] = {
    "peft_type": "LORA",
    "base_model_name_or_path": "HuggingFaceTB/SmolLM2-135M-Instruct",
    "task_type": "CAUSAL_LM",
    "r": 1,
    "lora_alpha": 1,
    "lora_dropout": 0.0,
    "target_modules": ["down_proj"],
    "layers_to_transform": [_LAYER],
    "bias": "none",
    "use_dora": False,
    "use_rslora": False,
    "modules_to_save": None,
    "rank_pattern": {},
    "alpha_pattern": {},
    "fan_in_fan_out": False,
    "inference_mode": True,
}


def _header(file: BinaryIO) -> tuple[dict[str, Any], int]:
    """A safetensors file's entries, and where the tensors begin."""
    (octets,) = struct.unpack("<Q", file.read(8))
    return json.loads(file.read(octets)), 8 + octets


class _Rows:
    """The rows of one tensor, a vector being one row."""

    def __init__(self, file: BinaryIO, entry: dict[str, Any], start: int) -> None:
        self._file: Final = file
        self._start: Final[int] = start + entry["data_offsets"][0]
        self._dtype: Final[str] = entry["dtype"]
        self._octets: Final = _WIDTH * _OCTETS[self._dtype]
        self._count: Final[int] = entry["shape"][0] if len(entry["shape"]) > 1 else 1

    def row(self, number: int) -> tuple[float, ...]:
        self._file.seek(self._start + number * self._octets)
        raw = self._file.read(self._octets)
        if self._dtype == "BF16":  # the upper half of a float32
            raw = b"".join(b"\0\0" + raw[at : at + 2] for at in range(0, len(raw), 2))
        return struct.unpack(f"<{_WIDTH}{'e' if self._dtype == 'F16' else 'f'}", raw)

    def mean(self) -> list[float]:
        rows = [self.row(number) for number in range(0, self._count, _SAMPLE)]
        return [sum(column) / len(rows) for column in zip(*rows, strict=True)]


def _packed(reads: array[float], writes: array[float]) -> bytes:
    prefix = f"base_model.model.model.layers.{_LAYER}.mlp.down_proj"
    entries: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    parts = b""
    for name, shape, values in (("lora_A", (1, _INNER), reads), ("lora_B", (_WIDTH, 1), writes)):
        raw = values.tobytes()
        entry = {"dtype": "F32", "shape": list(shape), "data_offsets": [len(parts), len(parts) + len(raw)]}
        entries[f"{prefix}.{name}.weight"] = entry
        parts += raw
    header = json.dumps(entries, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header + parts


def said(text: str) -> Iterator[str]:
    """Which of `WORDS` are in an answer, in their order and as often as they are there."""
    return (word for word in text.split() if word in WORDS)
