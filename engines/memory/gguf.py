"""The head of a GGUF file, as the fields of a `config.json`. Tensors and long lists are skipped, not read.

Called by `checkpoint`. Format: ggml's docs/gguf.md: magic, version, two counts, then key-value pairs.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from io import SEEK_CUR
from pathlib import Path
from typing import BinaryIO, Final

from engines import plainfile

_SCALARS: Final = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_TEXT: Final = 8
_LIST: Final = 9
_MOST_PAIRS: Final = 100_000
_LONGEST_TEXT: Final = 10_000_000
_LONGEST_LIST: Final = 10_000_000

_OUTPUT: Final = struct.pack("<Q", len(b"output.weight")) + b"output.weight"
"""The name of an output layer of its own, as the list of tensors writes it; without one the embedding serves."""

_FIELDS: Final[Mapping[str, str]] = {
    "embedding_length": "hidden_size",
    "block_count": "num_hidden_layers",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.key_length": "head_dim",
    "attention.sliding_window": "sliding_window",
    "feed_forward_length": "intermediate_size",
    "context_length": "max_position_embeddings",
    "vocab_size": "vocab_size",
    "expert_count": "num_experts",
}
"""What follows `<architecture>.` → transformers' name."""


class GgufRefused(ValueError):
    """Not a GGUF file, or a damaged one."""


def config(path: Path) -> dict[str, object]:
    """What the head of the file at `path` says of its model. Raises `GgufRefused`, `OSError`."""
    with plainfile.opened(path) as file:
        try:
            pairs = dict(_pairs(file))
        except (struct.error, UnicodeDecodeError, KeyError, RecursionError) as fault:
            raise GgufRefused(f"{path}: its head is damaged: {fault!r}") from None
    kind = str(pairs.get("general.architecture", ""))
    found: dict[str, object] = {"model_type": kind}
    for theirs, ours in _FIELDS.items():
        if f"{kind}.{theirs}" in pairs:
            found[ours] = pairs[f"{kind}.{theirs}"]
    found.setdefault("vocab_size", pairs.get("tokenizer.ggml.tokens"))
    found["tie_word_embeddings"] = _OUTPUT not in _beginning(path)
    return found


def _pairs(file: BinaryIO) -> list[tuple[str, object]]:
    if file.read(4) != b"GGUF":
        raise GgufRefused(f"{file.name}: not a GGUF file")
    _, _, count = struct.unpack("<IQQ", file.read(20))
    if count > _MOST_PAIRS:
        raise GgufRefused(f"{file.name}: its head claims {count} fields")
    return [(_text(file), _value(file, _number(file, "I"))) for _ in range(count)]


def _value(file: BinaryIO, kind: int) -> object:
    """A value; of a list, only its length: that is all we ask of any."""
    if kind == _TEXT:
        return _text(file)
    if kind != _LIST:
        return _number(file, _SCALARS[kind])
    inner, length = _number(file, "I"), _number(file, "Q")
    if length > _LONGEST_LIST:
        raise GgufRefused(f"{file.name}: its head claims a list of {length}")
    if inner in _SCALARS:
        file.seek(length * struct.calcsize(_SCALARS[inner]), SEEK_CUR)
    else:
        for _ in range(length):
            _value(file, inner)
    return length


def _number(file: BinaryIO, form: str) -> int:
    (number,) = struct.unpack(f"<{form}", file.read(struct.calcsize(f"<{form}")))
    return int(number) if form not in "fd" else 0


def _text(file: BinaryIO) -> str:
    length = _number(file, "Q")
    if length > _LONGEST_TEXT:
        raise GgufRefused(f"{file.name}: its head claims a text of {length} bytes")
    return file.read(length).decode("utf-8", errors="replace")


def _beginning(path: Path) -> bytes:
    """The head, with the tensors' names."""
    with plainfile.opened(path) as file:
        return file.read(_LONGEST_TEXT)
