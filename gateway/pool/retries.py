"""The retry budget of one pool: how many of its requests may be on a further worker at once.

What exceeds the budget waits its turn, for as long as its own limits allow. Owned by `pool.pool`, held by `relay` and
`resuming` around each further attempt.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from gateway.balance.retry import budget
from gateway.patience import Patience


class Retries:
    """Invariant: `under_way` is the number of those whose turn it is, and at most the budget."""

    def __init__(self, active: Callable[[], int]) -> None:
        self._active: Final = active
        self._waiting: Final[deque[asyncio.Future[None]]] = deque()
        self.under_way = 0

    @asynccontextmanager
    async def turn(self, patience: Patience) -> AsyncIterator[None]:
        """Hold one place of the budget. Raises `TimedOut` where the request's time is over before its turn comes."""
        await self._wait(patience)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, patience: Patience) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._call()
        try:
            async with asyncio.timeout(patience.left):
                await turn
        except BaseException as fault:
            if turn.done() and not turn.cancelled():
                self._pass_on()  # it was given the turn in the instant in which it left
            if isinstance(fault, TimeoutError):
                raise patience.verdict(first=True) from None
            raise
        finally:
            if turn in self._waiting:
                self._waiting.remove(turn)

    def _pass_on(self) -> None:
        self.under_way -= 1
        self._call()

    def _call(self) -> None:
        """Give a turn to everyone for whom there is room.

        Who waits here has no lease and is an open request all the same: when a worker dies, all of its requests come
        here at once, and the budget is a fifth of them.
        """
        while self._waiting and self.under_way < budget(self._active() + len(self._waiting)):
            turn = self._waiting.popleft()
            if not turn.done():
                self.under_way += 1
                turn.set_result(None)
