"""The one place where tests wait: a condition is polled against a deadline, so no test body ever sleeps.

Used by fixtures, story tests and fault tests. A condition that never comes true fails with what was waited for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

T = TypeVar("T")

PATIENCE: Final = 60.0
"""Seconds until a condition that never comes true fails: no measure of anything, only an end to waiting."""

STEP: Final = 0.01
"""Seconds between two looks."""


async def eventually(condition: Callable[[], T | Awaitable[T]], *, within: float = PATIENCE, what: str = "") -> T:
    """The first true value of `condition` (plain or awaitable), looked at for `within` seconds."""
    deadline = time.monotonic() + within
    while True:
        value = condition()
        if isinstance(value, Awaitable):
            value = await value
        if value:
            return value
        _give_up_after(deadline, within, what, value)
        await asyncio.sleep(STEP)


def until(condition: Callable[[], T], *, within: float = PATIENCE, what: str = "", every: float = STEP) -> T:
    """As `eventually`, for fixtures and tests without an event loop; a look that costs much is made less often."""
    deadline = time.monotonic() + within
    while True:
        value = condition()
        if value:
            return value
        _give_up_after(deadline, within, what, value)
        time.sleep(every)


def _give_up_after(deadline: float, within: float, what: str, value: object) -> None:
    if time.monotonic() > deadline:
        raise AssertionError(f"waited {within:g} s in vain for {what or 'a condition'}; the last look gave {value!r}")
