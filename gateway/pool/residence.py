"""Which workers of one pool hold which adapters, and what the supervisor is told where that does not suffice.

Owned by `pool.pool`. Costs a pool without adapters nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from typing import Final, NamedTuple

from gateway.errors import GatewayError
from gateway.pool.evictions import Evictions
from gateway.pool.worker import Worker
from registry.adapter_orders import Demand, Missing, Want

BELIEVED_AGAIN: Final = 5.0
"""Seconds after which a worker that did not hold an adapter is asked for it again, if the snapshots insist."""

Say = Callable[[Want | Missing], None]
Judge = Callable[[str], GatewayError | None]
"""Why nobody need wait for an adapter, as engines call it; None: it may come."""


class Adapters(NamedTuple):
    """What all pools of a house share: who counts requests by adapter, who takes what the supervisor must know, and who
    knows what cannot come.
    """

    evictions: Evictions
    say: Say
    judge: Judge = lambda _: None


def alone() -> Adapters:
    """For a pool that nobody supervises."""
    return Adapters(Evictions(lambda _: None), lambda _: None)


class Residence:
    """Invariant: `of(a)` are the ready workers that the newest snapshot says hold `a`, but for those that have just
    said that they do not.
    """

    def __init__(self, model: str, adapters: Adapters, clock: Callable[[], float]) -> None:
        self._model: Final = model
        self._evictions, self._say, self._judge = adapters
        self._clock: Final = clock
        self._ready: tuple[Worker, ...] = ()
        self._held: dict[str, tuple[Worker, ...]] = {}
        self._lost: Final[dict[tuple[str, str], float]] = {}
        """Who did not hold what, and until when that is remembered."""
        self._served: Final[Counter[str]] = Counter()
        self._wanted: Final[set[str]] = set()
        """What the supervisor was asked for and nobody holds yet."""
        self._hopeful: Final[set[str]] = set()
        """What may still come, by the newest snapshot."""

    def update(self, ready: tuple[Worker, ...], waiting: Iterable[str]) -> None:
        """Take over what the newest snapshot says; `waiting` are the adapters that requests wait for."""
        self._ready = ready
        self._hopeful.clear()
        present = {(worker.id, adapter) for worker in ready for adapter in worker.view.resident}
        for place in [place for place in self._lost if place not in present]:
            del self._lost[place]
        self._rebuild()
        self._wanted.difference_update(self._held)
        for adapter in waiting:  # its worker has just come, or it was evicted meanwhile
            if ready and adapter not in self._held and adapter not in self._wanted and not self.hopeless(adapter):
                self.want(adapter, ())

    def of(self, adapter: str) -> tuple[Worker, ...]:
        """Who holds `adapter` now."""
        return self._held.get(adapter, ())

    def hopeless(self, adapter: str) -> GatewayError | None:
        """Why nobody need wait for `adapter` (empty: none is needed); None: it may come."""
        if not adapter or adapter in self._hopeful:
            return None
        found = self._judge(adapter)
        if found is None:
            self._hopeful.add(adapter)
        return found

    def want(self, adapter: str, besides: Collection[str]) -> None:
        """A request waits for `adapter`, which none that it may use holds."""
        self._wanted.add(adapter)
        self._say(Want(self._model, adapter, tuple(besides)))

    def begin(self, worker: str, adapter: str) -> None:
        """A request for `adapter` goes to `worker`."""
        self._evictions.begin(worker, adapter)
        self._served[adapter] += 1

    def end(self, worker: str, adapter: str) -> None:
        """One such request has ended."""
        self._evictions.end(worker, adapter)

    def missed(self, worker: str, adapter: str) -> None:
        """It was sent a request for what it does not hold."""
        self._lost[worker, adapter] = self._clock() + BELIEVED_AGAIN
        self._rebuild()
        self._say(Missing(worker, adapter))

    def believe(self) -> bool:
        """Forget who did not hold what a while ago; whether that was anybody."""
        now = self._clock()
        over = [place for place, until in self._lost.items() if until <= now]
        for place in over:
            del self._lost[place]
        if over:
            self._rebuild()
        return bool(over)

    def demand(self, waiting: Iterable[tuple[str, int]]) -> dict[str, Demand]:
        """The use of each adapter that is or was just used; what was served is said once. `waiting`: how many, for
        what.
        """
        active: Counter[str] = Counter()
        for (worker, adapter), count in self._evictions.active.items():
            if any(worker == each.id for each in self._ready):
                active[adapter] += count
        queued = dict(waiting)
        used = {*active, *queued, *self._served}
        demands = {each: Demand(active[each], queued.get(each, 0), self._served[each]) for each in sorted(used)}
        self._served.clear()
        return demands

    def _rebuild(self) -> None:
        held: dict[str, list[Worker]] = {}
        for worker in self._ready:
            for adapter in worker.view.resident:
                if (worker.id, adapter) not in self._lost:
                    held.setdefault(adapter, []).append(worker)
        self._held = {adapter: tuple(workers) for adapter, workers in held.items()}
