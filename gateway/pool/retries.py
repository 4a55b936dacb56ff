"""The retry budget of one pool: how many of its requests may be on a further worker at once.

What exceeds the budget waits its turn; it does not fail. Owned by `pool.pool`, held by `relay` around each further
attempt.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from gateway.balance.retry import budget


class Retries:
    """An async context. Invariant: `under_way` is the number of those inside, and at most the budget."""

    def __init__(self, active: Callable[[], int]) -> None:
        self._active: Final = active
        self._waiting: Final[deque[asyncio.Future[None]]] = deque()
        self.under_way = 0

    async def __aenter__(self) -> Self:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._call()
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                self._pass_on()  # it was given the turn in the instant in which it left
            raise
        finally:
            if turn in self._waiting:
                self._waiting.remove(turn)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pass_on()

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
