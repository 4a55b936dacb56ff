"""How large an adapter, or an archive of one, may be. A value; whoever examines or unpacks passes one on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes, where nothing else is said. Rank 64 on every layer of a 70B model takes 1.7 GB in 16 bits."""

    config: int = 1 << 20
    header: int = 32 << 20
    weights: int = 8 << 30
    tensors: int = 100_000
    """How many."""
    members: int = 1_000
    """How many files and folders an archive may list."""
    unpacked: int = 8 << 30
    ratio: int = 20
    """How many times its own size an archive may unpack to, beyond the first 64 MiB: weights hardly shrink."""
