"""A house in miniature: requests, a gateway's queue, workers with slots; events in order, no clock, no chance. Pure.

It has what placement is about: a request waits for its adapter or for room, an adapter takes time to load, and leaves
only when its requests have ended. It leaves out that engines slow down with every request that they run or load for.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from engines.ledger.picture import Evict, Held, Holder, Load, Picture, Placement, Residency, Wish
from engines.ledger.rates import Rates
from loadtests.adapters.traces import Ask


@dataclass(frozen=True, slots=True)
class House:
    """What there is. Times in seconds."""

    workers: int = 2
    slots: int = 2
    capacity: int = 8
    """Requests that a worker runs at once."""
    loads_in: float = 0.5
    """Until an adapter is loaded and proved."""
    first_token: float = 0.1
    look_every: float = 0.25
    """The policy is asked at every event, and so often while anybody waits."""
    heard_every: float = 0.25
    """Gateways say so often how many requests are active and were begun; who waits, they say at once."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a trace. Times in simulated seconds, one for each request."""

    ttft: Sequence[float]
    loads: int
    evictions: int

    @property
    def per_hundred(self) -> float:
        """Loads per 100 requests."""
        return 100 * self.loads / len(self.ttft)

    def percentile(self, share: float) -> float:
        """The smallest TTFT that at least `share` of all are no greater than."""
        return sorted(self.ttft)[max(0, math.ceil(share * len(self.ttft)) - 1)]

    @property
    def worst(self) -> float:
        """The longest anybody waited for the first token."""
        return max(self.ttft)


def simulate(trace: Iterable[Ask], house: House, placement: Placement, pinned: frozenset[str] = frozenset()) -> Outcome:
    """One pool, whose gateway sends a request to the least loaded worker that holds its adapter."""
    run = _Run(house, placement, [f"w{number}" for number in range(house.workers)], pinned)
    run.until_done(trace)
    return Outcome(run.ttft, run.loads, run.evictions)


def simulate_apart(
    trace: Iterable[Ask], house: House, placement: Callable[[], Placement], choose: Callable[[int, Ask], int]
) -> Outcome:
    """Workers that know nothing of each other, each with a queue of its own; `choose` says whose turn a request is."""
    parts: list[list[Ask]] = [[] for _ in range(house.workers)]
    for number, ask in enumerate(trace):
        parts[choose(number, ask)].append(ask)
    runs = [_Run(house, placement(), [f"w{number}"]) for number in range(house.workers)]
    for run, part in zip(runs, parts, strict=True):
        run.until_done(part)
    ttft = [each for run in runs for each in run.ttft]
    return Outcome(ttft, sum(run.loads for run in runs), sum(run.evictions for run in runs))


@dataclass(slots=True)
class _Place:
    """One adapter on one worker."""

    state: Residency
    since: float
    used: float
    active: int = 0
    heard: int = 0
    """How many were active when gateways last said it."""


@dataclass(slots=True)
class _Worker:
    name: str
    places: dict[str, _Place] = field(default_factory=dict)

    @property
    def open(self) -> int:
        return sum(place.active for place in self.places.values())

    @property
    def busy(self) -> int:
        """Requests that it is said to have."""
        return sum(place.heard for place in self.places.values())


class _Run:
    """Invariant: every request that came is waiting, active or answered, and no worker holds more than its slots."""

    def __init__(
        self, house: House, placement: Placement, workers: Sequence[str], pinned: frozenset[str] = frozenset()
    ) -> None:
        self.ttft: Final[list[float]] = []
        self.loads = 0
        self.evictions = 0
        self._house: Final = house
        self._placement: Final = placement
        self._pinned: Final = pinned
        self._workers: Final = {name: _Worker(name) for name in workers}
        self._waiting: Final[dict[str, deque[Ask]]] = {}
        self._events: Final[list[tuple[float, int, Callable[[], None]]]] = []
        self._order: Final = count()
        self._rates: Final = Rates()
        self._begun: Final[Counter[str]] = Counter()
        self._heard = 0.0
        self._now = 0.0
        self._looks = False

    def until_done(self, trace: Iterable[Ask]) -> None:
        """Every request of the trace is answered."""
        for ask in trace:
            self._at(ask.at, lambda ask=ask: self._comes(ask))  # type: ignore[misc]
        while self._events:
            self._now, _, happens = heapq.heappop(self._events)
            happens()
            if self._now >= self._heard + self._house.heard_every:
                self._hear()
            self._settle()

    def _at(self, when: float, happens: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when, next(self._order), happens))

    def _comes(self, ask: Ask) -> None:
        self._waiting.setdefault(ask.adapter, deque()).append(ask)

    def _hear(self) -> None:
        """A report of the gateways'."""
        self._heard = self._now
        for adapter, begun in self._begun.items():
            self._rates.served(adapter, begun, self._now)
        for worker in self._workers.values():
            for adapter, place in worker.places.items():
                if place.active or place.heard or self._begun[adapter]:
                    place.used = self._now
                place.heard = place.active
        self._begun.clear()

    def _settle(self) -> None:
        """Whoever can begin begins; then the policy has its say, until it has nothing more to say at this moment."""
        self._dispatch()
        while self._round():
            self._dispatch()
        if self._waiting and not self._looks:
            self._looks = True
            self._at(self._now + self._house.look_every, self._look)

    def _look(self) -> None:
        self._looks = False

    def _dispatch(self) -> None:
        """The longest wait first, over all adapters that are resident somewhere with room."""
        for adapter in sorted(self._waiting, key=lambda each: self._waiting[each][0].at):
            queue = self._waiting[adapter]
            while queue and (worker := self._choose(adapter)):
                self._begin(queue.popleft(), worker)
            if not queue:
                del self._waiting[adapter]

    def _choose(self, adapter: str) -> _Worker | None:
        able = [
            worker
            for worker in self._workers.values()
            if worker.open < self._house.capacity
            and (place := worker.places.get(adapter))
            and place.state is Residency.RESIDENT
        ]
        return min(able, key=lambda worker: worker.open) if able else None

    def _begin(self, ask: Ask, worker: _Worker) -> None:
        place = worker.places[ask.adapter]
        place.active += 1
        self._begun[ask.adapter] += 1
        self.ttft.append(self._now - ask.at + self._house.first_token)
        self._at(self._now + self._house.first_token + ask.takes, lambda: self._end(worker, ask.adapter))

    def _end(self, worker: _Worker, adapter: str) -> None:
        place = worker.places[adapter]
        place.active -= 1
        self._unload(worker, adapter)

    def _round(self) -> bool:
        moves = self._placement(self._picture())
        for move in moves:
            match move:
                case Load():
                    self._load(self._workers[move.worker], move.adapter)
                case Evict():
                    self._evict(self._workers[move.worker], move.adapter)
        return bool(moves)

    def _load(self, worker: _Worker, adapter: str) -> None:
        if len(worker.places) >= self._house.slots or adapter in worker.places:
            raise ValueError(f"{worker.name} has no slot for {adapter}: {worker.places}")
        self.loads += 1
        place = worker.places[adapter] = _Place(Residency.LOADING, self._now, self._now)

        def loaded() -> None:
            place.state, place.since, place.used = Residency.RESIDENT, self._now, self._now

        self._at(self._now + self._house.loads_in, loaded)

    def _evict(self, worker: _Worker, adapter: str) -> None:
        place = worker.places[adapter]
        if place.state is not Residency.RESIDENT:
            raise ValueError(f"{adapter} is {place.state} on {worker.name}")
        self.evictions += 1
        place.state, place.since = Residency.LEAVING, self._now
        self._unload(worker, adapter)

    def _unload(self, worker: _Worker, adapter: str) -> None:
        place = worker.places[adapter]
        if place.state is Residency.LEAVING and not place.active:
            del worker.places[adapter]

    def _picture(self) -> Picture:
        holders = tuple(
            Holder(
                worker.name,
                self._house.slots,
                tuple(
                    Held(adapter, place.state, place.since, place.used, place.heard)
                    for adapter, place in worker.places.items()
                ),
                worker.busy,
            )
            for worker in self._workers.values()
        )
        wishes = tuple(Wish(adapter, queue[0].at, len(queue)) for adapter, queue in self._waiting.items())
        return Picture(self._now, holders, wishes, self._rates.at(self._now), self._pinned)
