"""One request's hold on one worker, what its end says, and what who waits for one wishes. Values of `pool`.

Held by `relay`, `answers` and `resuming`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from enum import Enum, auto
from types import MappingProxyType
from typing import Final, NamedTuple

import msgspec

from gateway.balance.policy import Choice, Reason
from gateway.balance.prefix import Prefix
from gateway.pool.worker import Worker

UNCHOSEN: Final = Choice("", Reason.ONLY)
NO_LOADS: Final[Mapping[str, float]] = MappingProxyType({})


class Outcome(Enum):
    """What a lease's end says about its worker."""

    WORKED = auto()
    FAILED = auto()
    UNKNOWN = auto()
    MISSING = auto()
    """It is well, and does not hold the adapter that it was leased for."""


class Lease(msgspec.Struct, eq=False):
    """One request's hold on one worker. `release` may be called any number of times; the first one counts."""

    worker: Worker
    _released: Callable[[Lease, Outcome], None] | None
    trial: bool
    """Whether this request finds out if the worker is back."""
    choice: Choice = UNCHOSEN
    """Why this worker."""
    loads: Mapping[str, float] = NO_LOADS
    """What there was to choose from; empty where the pool has one worker only."""
    needs: str = ""
    """The adapter that the request is for, as engines call it; empty: none."""

    def release(self, outcome: Outcome = Outcome.UNKNOWN) -> None:
        """Give the worker back, saying how it did."""
        released, self._released = self._released, None
        if released is not None:
            released(self, outcome)


class Wish(NamedTuple):
    """What a waiting request wants of a worker: not one of `exclude`, better one that knows `prefix`, and that holds
    the adapter `needs`, if any.
    """

    exclude: frozenset[str]
    prefix: Prefix
    needs: str = ""


def hand_back(turn: asyncio.Future[Lease]) -> None:
    """The request left in the same instant in which its turn came: a lease that it never saw goes back at once."""
    if turn.done() and not turn.cancelled() and turn.exception() is None:
        turn.result().release()
