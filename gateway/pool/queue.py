"""Requests that wait for a worker of one pool: first come first served, within three classes of priority.

Owned by `pool.pool`. Nothing here knows what is waited for.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Generic, TypeVar

T = TypeVar("T")
W = TypeVar("W")


class Priority(IntEnum):
    """Classes of requests; a lower number is served first."""

    HIGH = 0
    NORMAL = 1
    LOW = 2


@dataclass(slots=True, eq=False)
class Place(Generic[T, W]):
    """One request's place: what it wishes, and where its turn (or a refusal) arrives."""

    priority: Priority
    wish: W
    turn: asyncio.Future[T]
    number: int = 0
    """Grows with every place, over all queues that share their `numbers`."""
    queued: bool = True
    """Whether it is still in the queue."""


class Queue(Generic[T, W]):
    """Invariant: a place is in it from `join` until its turn comes or it leaves; `length` is how many are."""

    def __init__(self, numbers: Iterator[int] | None = None) -> None:
        self._numbers: Final = numbers or itertools.count()
        self._classes: Final[tuple[deque[Place[T, W]], ...]] = tuple(deque() for _ in Priority)
        self.length = 0
        """An attribute: every request asks for it twice."""

    def __iter__(self) -> Iterator[Place[T, W]]:
        """In the order of service; a copy, so that turns may be given on the way."""
        for places in self._classes:
            yield from tuple(places)

    def join(self, priority: Priority, wish: W) -> Place[T, W]:
        """A place at the end of its class."""
        place = Place[T, W](priority, wish, asyncio.get_running_loop().create_future(), next(self._numbers))
        self._classes[priority].append(place)
        self.length += 1
        return place

    def call(self, place: Place[T, W], turn: T | Exception) -> None:
        """It is the turn of `place`, or it is refused: it is in the queue no more."""
        self.leave(place)
        if place.turn.done():
            return  # its request was cancelled and has not come round to leaving
        if isinstance(turn, Exception):
            place.turn.set_exception(turn)
        else:
            place.turn.set_result(turn)

    def leave(self, place: Place[T, W]) -> None:
        """Out at once, from wherever it stands, if it is still in."""
        if place.queued:
            place.queued = False
            self._classes[place.priority].remove(place)
            self.length -= 1
