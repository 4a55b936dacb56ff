"""Time for the fake worker: waits that SIGTERM ends at once, as it ends vLLM's generations."""

from __future__ import annotations

import asyncio
from typing import Final


class Pace:
    """Every wait of every generation. Invariant: after `abort` no wait lasts, after `freeze` none ends."""

    def __init__(self) -> None:
        self._waiters: Final[set[asyncio.Future[None]]] = set()
        self._thawed: Final = asyncio.Event()
        self._thawed.set()
        self.aborting = False

    async def wait(self, seconds: float | None) -> None:
        """Waits so long (None: for ever), or until `abort`."""
        await self._thawed.wait()
        if self.aborting or seconds == 0:
            await asyncio.sleep(0)
            return
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        alarm = None if seconds is None else loop.call_later(seconds, _wake, waiter)
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)
            if alarm:
                alarm.cancel()
        await self._thawed.wait()

    def abort(self) -> None:
        """Ends all waits, now and from now on."""
        self.aborting = True
        for waiter in self._waiters:
            _wake(waiter)

    def freeze(self) -> None:
        """No wait ends any more."""
        self._thawed.clear()


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
