"""The one place that starts a task outside a TaskGroup: a child that a context owns and always ends.

A TaskGroup would do the same at three times the cost, on every request. Used by `client` and `heartbeats`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final


class Child:
    """One task. Whoever starts it calls `cancel` or awaits `stop` on every way out."""

    __slots__ = ("_task",)

    def __init__(self, work: Coroutine[Any, Any, None]) -> None:
        self._task: Final = asyncio.get_running_loop().create_task(work)

    def cancel(self) -> None:
        """End it; it has nothing to give back."""
        self._task.cancel()

    async def stop(self) -> None:
        """End it and wait until it has ended."""
        self._task.cancel()
        await asyncio.wait((self._task,))
