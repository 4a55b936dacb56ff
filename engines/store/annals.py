"""What several hosts have in common, as `shared` knows it: one entry an adapter, and one order of all changes.

`redisannals` is the real one; tests have one in memory.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple, Protocol


class Mark(NamedTuple):
    """How far somebody has followed."""

    generation: str
    """Another one after everything was lost."""
    number: int
    """Of the last change."""


class News(NamedTuple):
    """What has changed since a mark."""

    mark: Mark
    entries: Mapping[str, bytes]
    """By `model:adapter`: as they are now; of all adapters where `whole`."""
    whole: bool
    """The mark was none, or of another generation."""
    trouble: str = ""
    """Why nothing can be changed now, although it can be read."""


class Annals(Protocol):
    """Calls block; each ends within seconds. All raise `StoreAway`."""

    def look(self, since: Mark | None) -> News:
        """What has changed; where everything was lost, a new generation begins."""

    def check(self) -> None:
        """Whether something could be changed now."""

    def get(self, name: str) -> bytes:
        """The entry; empty: there is none."""

    def hold(self, digests: Collection[str]) -> frozenset[str]:
        """Say that workers here hold these; returns those that workers of any host have held within some hours."""

    def put(self, name: str, known: bytes, to: bytes) -> bool:
        """Change the entry if it still is `known` (empty: there is none). False: it was not, and is as it was."""
