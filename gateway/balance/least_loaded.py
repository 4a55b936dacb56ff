"""The worker with the fewest requests in flight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class _Load(Protocol):
    inflight: int


def least_loaded(candidates: Sequence[_Load]) -> int:
    """The index of the least loaded candidate; the first of equals, so that a caller's order breaks ties."""
    return min(range(len(candidates)), key=lambda index: candidates[index].inflight)
