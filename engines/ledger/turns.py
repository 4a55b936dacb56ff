"""One at a time for each adapter, side by side for different ones. Used by `desk`."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from typing import Final


class Turns:
    """Invariant: no two blocks with the same key are entered at once; they are entered in the order of asking."""

    def __init__(self) -> None:
        self._locks: Final[weakref.WeakValueDictionary[Hashable, asyncio.Lock]] = weakref.WeakValueDictionary()

    @asynccontextmanager
    async def of(self, key: Hashable) -> AsyncIterator[None]:
        """Waits for its turn."""
        lock = self._locks.get(key)
        if lock is None:
            lock = self._locks[key] = asyncio.Lock()
        async with lock:
            yield
