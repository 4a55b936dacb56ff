"""Workers that the supervisor wants to stop: it is told of each when this gateway's last request on it has ended.

`house` says which are wanted; `pool` says which it has let go, and when they are empty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from gateway.pool.worker import Worker


class Departures:
    """Invariant: each wanted worker is told of once, at a time when it holds none of our requests and gets none."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell: Final = tell
        self._busy: Final[set[str]] = set()
        self._wanted: frozenset[str] = frozenset()

    def gone(self, worker: Worker) -> None:
        """A pool leases this worker to nobody any more."""
        worker.close()
        if worker.inflight:
            worker.gone = True
            self._busy.add(worker.id)

    def empty(self, worker: Worker) -> None:
        """The last request on a worker that is gone has ended."""
        self._busy.discard(worker.id)
        if worker.id in self._wanted:
            self._tell(worker.id)

    def want(self, workers: Iterable[str]) -> None:
        """What the newest snapshot says; it comes after the pools have let go what is not in it."""
        before, self._wanted = self._wanted, frozenset(workers)
        for worker in self._wanted - before - self._busy:
            self._tell(worker)
