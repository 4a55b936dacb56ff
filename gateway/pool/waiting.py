"""All who wait for a worker of one pool: one line for those who take any, and one for each adapter that others need.

So whoever needs nothing never stands behind somebody who waits for an adapter to be loaded. Owned by `pool.pool`.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Iterator
from typing import Final

from gateway.pool.lease import Lease, Wish
from gateway.pool.queue import Place, Priority, Queue

Waiter = Place[Lease, Wish]


class Waiting:
    """Invariant: `length` is how many wait, in all lines; a line without anybody is forgotten."""

    def __init__(self) -> None:
        self._numbers: Final = itertools.count()
        self.plain: Final[Queue[Lease, Wish]] = Queue(self._numbers)
        """Those who take any worker."""
        self._lines: Final[dict[str, Queue[Lease, Wish]]] = {}
        self.length = 0

    @property
    def adapters(self) -> tuple[str, ...]:
        """Those that are waited for."""
        return tuple(self._lines)

    def of(self, adapter: str) -> int:
        """How many wait for one."""
        line = self._lines.get(adapter)
        return line.length if line else 0

    def join(self, priority: Priority, wish: Wish) -> Waiter:
        """A place at the end of its line."""
        line = self.plain
        if wish.needs:
            line = self._lines.setdefault(wish.needs, Queue(self._numbers))
        self.length += 1
        return line.join(priority, wish)

    def call(self, place: Waiter, turn: Lease | Exception) -> None:
        """It is the turn of `place`, or it is refused: it waits no more."""
        self._leaving(place).call(place, turn)
        self._forget(place)

    def leave(self, place: Waiter) -> None:
        """Out at once, if it still waits."""
        self._leaving(place).leave(place)
        self._forget(place)

    def _leaving(self, place: Waiter) -> Queue[Lease, Wish]:
        self.length -= place.queued
        needs = place.wish.needs
        return self._lines.get(needs, self.plain) if needs else self.plain

    def _forget(self, place: Waiter) -> None:
        line = self._lines.get(place.wish.needs)
        if line is not None and not line.length:
            del self._lines[place.wish.needs]

    def in_order(self, adapters: Iterable[str]) -> Iterator[Waiter]:
        """Those who take any worker and those who need one of `adapters`, as they are to be served; a copy."""
        if not self._lines:
            return iter(self.plain)
        lines = [line for each in adapters if (line := self._lines.get(each)) is not None]
        return iter([*heapq.merge(self.plain, *lines, key=_order)])


def _order(place: Waiter) -> tuple[int, int]:
    return place.priority, place.number
