"""The worker with the least load."""

from __future__ import annotations

from collections.abc import Sequence


def least_loaded(loads: Sequence[float]) -> int:
    """The index of the least load; the first of equals, so that the caller's order breaks ties."""
    return min(range(len(loads)), key=loads.__getitem__)
