"""Which gateways may still hold requests on workers that leave. Fed by `supervisor.control`, asked by
`supervisor.succession` for pools and by `ledger.flights` for adapters.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Final


class Holds:
    """Invariant: a worker counts as free only while every gateway that is connected has said so."""

    def __init__(self) -> None:
        self._freed: Final[dict[object, set[str]]] = {}
        """By gateway: the workers that it holds nothing on."""
        self._news = asyncio.Event()

    def joined(self, gateway: object) -> None:
        """A gateway has connected: it may hold anything until it says otherwise."""
        self._freed.setdefault(gateway, set())

    def freed(self, gateway: object, worker: str) -> None:
        """One gateway holds nothing on this worker, and never will again."""
        if gateway in self._freed:
            self._freed[gateway].add(worker)
            self._tell()

    def ended(self, gateway: object) -> None:
        """A connection has ended; if it was a gateway's, its requests ended with it."""
        if self._freed.pop(gateway, None) is not None:
            self._tell()

    def free(self, workers: Collection[str]) -> bool:
        """Whether nobody holds anything on any of them."""
        return all(freed.issuperset(workers) for freed in self._freed.values())

    async def until_free(self, workers: Collection[str]) -> None:
        """Waits for as long as it takes."""
        while not self.free(workers):
            await self._news.wait()

    def forget(self, workers: Collection[str]) -> None:
        """They are gone, and their names never come back."""
        for freed in self._freed.values():
            freed.difference_update(workers)

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
