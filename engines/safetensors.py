"""The header of a safetensors file: which tensors it holds, in which type and shape. Their bytes are never read.

Called by `memory.checkpoint`, `weights.checkpoint` and `adapters`. Format: 8 bytes, little-endian, the length of a JSON
object; that object; the tensors' bytes, without gaps. Its values are `{"dtype", "shape", "data_offsets"}` by tensor;
`__metadata__` is text. (safetensors' README, "Format"; safetensors/src/tensor.rs, `validate`.)
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from engines import plainfile

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
    """Not a safetensors file, or a damaged one; the message says what is wrong."""


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
    try:
        with plainfile.opened(path) as file:
            return read_open(file, os.fstat(file.fileno()).st_size)[0]
    except (plainfile.NotPlain, FileNotFoundError):
        raise HeaderRefused("it is no file, or a link that leads to none") from None


def read_open(file: BinaryIO, size: int, longest: int = LONGEST) -> tuple[dict[str, Tensor], int]:
    """The tensors of an open file of `size` bytes, and where their bytes begin. Raises `HeaderRefused`, `OSError`.

    `longest` bounds the header, in bytes.
    """
    first = file.read(8)
    if len(first) < 8:
        raise HeaderRefused(f"only {size} bytes long")
    (length,) = struct.unpack("<Q", first)
    if length > min(longest, size - 8):
        raise HeaderRefused(f"its header claims {length} bytes in a file of {size}")
    return parse(file.read(length), size - 8 - length), 8 + length


def parse(header: bytes, room: int) -> dict[str, Tensor]:
    """The tensors that `header` names, which take the `room` bytes behind it. Raises `HeaderRefused`."""
    try:
        entries = msgspec.json.decode(header, type=dict[str, msgspec.Raw])
        msgspec.json.decode(entries.pop("__metadata__", b"{}"), type=dict[str, str])
        tensors = {name: msgspec.json.decode(entry, type=Tensor) for name, entry in entries.items()}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise HeaderRefused(f"its header is not a list of tensors: {fault}") from None
    for name, tensor in tensors.items():
        _fits(name, tensor)
    _lie_in_a_row([tensor.data_offsets for tensor in tensors.values()], room)
    return tensors


def _fits(name: str, tensor: Tensor) -> None:
    """Its bytes are those that its shape needs. A type that is not known needs as many as there are."""
    if min(tensor.shape, default=0) < 0:
        raise HeaderRefused(f"{name} has a shape below zero")
    if tensor.dtype in BITS and tensor.elements * BITS[tensor.dtype] != 8 * tensor.octets:
        raise HeaderRefused(f"{name} has {tensor.octets} bytes, and its shape needs another number of them")


def _lie_in_a_row(spans: list[tuple[int, int]], room: int) -> None:
    """One behind the other, from the first byte to the last."""
    last = 0
    for begin, end in sorted(spans):
        if begin != last or end < begin:
            raise HeaderRefused("its tensors overlap or leave gaps")
        last = end
    if last != room:
        raise HeaderRefused(f"its tensors take {last} bytes, and the file holds {room}")
