"""Whether tensors hold a NaN or an infinity, from their bytes: an exponent of nothing but ones. No numpy, no torch.

Called by `doctor`. A block's bytes of one significance are taken out by a slice, turned into flags by `translate` and
met by `&` of two long integers: all of it in C, some hundred MB a second.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, Final

from engines.safetensors import Tensor

_BLOCK: Final = 1 << 20
"""Bytes read at once; a multiple of every number's size."""


@dataclass(frozen=True, slots=True)
class _Exponent:
    """Where a little-endian number of `size` bytes has its exponent: in its last byte, and in the one before."""

    size: int
    last: int
    before: int = 0


_EXPONENTS: Final[Mapping[str, _Exponent]] = {
    "F64": _Exponent(8, 0x7F, 0xF0),
    "F32": _Exponent(4, 0x7F, 0x80),
    "BF16": _Exponent(2, 0x7F, 0x80),
    "F16": _Exponent(2, 0x7C),
}
"""IEEE 754; bfloat16 is the upper half of a float32."""


def infinite(file: BinaryIO, start: int, tensors: Mapping[str, Tensor]) -> Iterator[str]:
    """The names of those tensors that hold a NaN or an infinity; their bytes begin at `start`. Raises `OSError`.

    Types that are not floating numbers of a known kind hold none.
    """
    for name, tensor in tensors.items():
        kind = _EXPONENTS.get(tensor.dtype)
        if kind is not None:
            file.seek(start + tensor.data_offsets[0])
            if any(_has(block, kind) for block in _blocks(file, tensor.octets)):
                yield name


def _blocks(file: BinaryIO, octets: int) -> Iterator[bytes]:
    left = octets
    while left > 0 and (block := file.read(min(_BLOCK, left))):
        left -= len(block)
        yield block


def _has(block: bytes, kind: _Exponent) -> bool:
    last = block[kind.size - 1 :: kind.size].translate(_flags(kind.last))
    if 1 not in last:
        return False
    if not kind.before:
        return True
    before = block[kind.size - 2 :: kind.size].translate(_flags(kind.before))
    return int.from_bytes(last, "little") & int.from_bytes(before[: len(last)], "little") != 0


def _flags(mask: int) -> bytes:
    """For `bytes.translate`: 1 for each byte that has all bits of `mask`."""
    return _TABLES[mask]


_TABLES: Final = {mask: bytes(int(byte & mask == mask) for byte in range(256)) for mask in (0x7F, 0x7C, 0x80, 0xF0)}
