"""How often a broken transfer is tried again, and when it is given up. Called by `resumable` and the hubs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from engines.weights.failures import FetchFailed
from engines.weights.transfer.refusals import Broken

Wait = Callable[[float], Awaitable[None]]
"""Sleeps for so many seconds."""

_TRIES: Final = 5
_LONGEST: Final = 16.0

Result = TypeVar("Result")


async def persevere(
    attempt: Callable[[], Awaitable[Result]], far: Callable[[], int] = lambda: 0, wait: Wait = asyncio.sleep
) -> Result:
    """What `attempt` returns; tried again while it raises `Broken`, at most five times without getting further.

    `far` says how far things are. Raises `FetchFailed` when it is given up.
    """
    idle = 0
    while True:
        before = far()
        try:
            return await attempt()
        except Broken as broken:
            idle = 1 if far() > before else idle + 1
            if idle >= _TRIES:
                raise FetchFailed(
                    f"{broken}; given up after {_TRIES} tries. Check the network and the proxy, and run it again: what "
                    "is here already is kept, and the rest is fetched"
                ) from broken
            await wait(max(broken.after, min(_LONGEST, 2.0 ** (idle - 1))))
