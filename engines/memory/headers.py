"""The header of a safetensors file: which tensors it holds, in which type and shape. Their bytes are never read.

Called by `checkpoint`. Format: 8 bytes, little-endian, the length of a JSON object; that object; the tensors' bytes.
Its values are `{"dtype", "shape", "data_offsets"}` by tensor; `__metadata__` is text. (safetensors' README, "Format".)
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

LONGEST: Final = 100_000_000
"""Bytes of a header: safetensors' own bound."""

BITS: Final[Mapping[str, int]] = {
    "F64": 64, "I64": 64, "U64": 64, "C64": 64,
    "F32": 32, "I32": 32, "U32": 32,
    "F16": 16, "BF16": 16, "I16": 16, "U16": 16,
    "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "I8": 8, "U8": 8, "BOOL": 8,
    "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4,
}  # fmt: skip
"""By safetensors' name of a type."""


class HeaderRefused(ValueError):
    """Not a safetensors file, or a damaged one; the message names the file and what is wrong."""


class Tensor(msgspec.Struct, frozen=True):
    """One tensor of a header."""

    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]

    @property
    def elements(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)

    @property
    def octets(self) -> int:
        """Bytes in the file."""
        return self.data_offsets[1] - self.data_offsets[0]


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of the file at `path`, by name. Raises `HeaderRefused`, `OSError`."""
    size = path.stat().st_size
    with path.open("rb") as file:
        first = file.read(8)
        if len(first) < 8:
            raise HeaderRefused(f"{path}: too short for a safetensors file")
        (length,) = struct.unpack("<Q", first)
        if length > min(LONGEST, size - 8):
            raise HeaderRefused(f"{path}: its header claims {length} bytes, which the file cannot hold")
        return parse(file.read(length), size - 8 - length, str(path))


def parse(header: bytes, room: int, name: str) -> dict[str, Tensor]:
    """The tensors that `header` names, `room` bytes following it; `name` is for messages. Raises `HeaderRefused`."""
    try:
        entries = msgspec.json.decode(header, type=dict[str, msgspec.Raw])
        entries.pop("__metadata__", None)
        tensors = {tensor: msgspec.json.decode(entry, type=Tensor) for tensor, entry in entries.items()}
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise HeaderRefused(f"{name}: its header is damaged: {fault}") from None
    for tensor, entry in tensors.items():
        begin, end = entry.data_offsets
        needed = entry.elements * BITS.get(entry.dtype, 0) / 8
        if not 0 <= begin <= end <= room or min(entry.shape, default=0) < 0:
            raise HeaderRefused(f"{name}: {tensor} lies outside of the file")
        if needed and needed != end - begin:
            raise HeaderRefused(f"{name}: {tensor} has {end - begin} bytes where its shape needs {needed:g}")
    return tensors
