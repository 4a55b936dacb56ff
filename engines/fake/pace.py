"""Time for the fake worker: waits that SIGTERM ends at once, as it ends vLLM's generations."""

from __future__ import annotations

import asyncio
from typing import Final


class Pace:
    """Every wait of every generation. Invariant: after `abort`, no wait lasts."""

    def __init__(self) -> None:
        self._waiters: Final[set[asyncio.Future[None]]] = set()
        self.aborting = False

    async def wait(self, seconds: float | None) -> None:
        """Waits so long (None: for ever), or until `abort`."""
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

    def abort(self) -> None:
        """Ends all waits, now and from now on."""
        self.aborting = True
        for waiter in self._waiters:
            _wake(waiter)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
