"""What gateways say of adapters: who waits for which, how many use them, how often they are asked for. No I/O.

Fed by `supervisor.control`, read by `rounds`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from engines.ledger.picture import Wish
from engines.ledger.rates import Rates
from registry.adapter_orders import Demand

_LASTS: Final = 10.0
"""Seconds that a gateway's `Want` counts without a report that somebody waits: reports come every second."""


class Demands:
    """Invariant: what a gateway said counts until it says otherwise, or is gone; a wish is as old as its first word."""

    def __init__(self, clock: Callable[[], float], used: Callable[[str], None]) -> None:
        self._clock: Final = clock
        self._used: Final = used
        """Told of every adapter that is used now."""
        self._said: Final[dict[object, Mapping[str, Mapping[str, Demand]]]] = {}
        self._wanted: Final[dict[tuple[str, str], float]] = {}
        """Until when it counts, by model and adapter."""
        self._since: Final[dict[tuple[str, str], float]] = {}
        self._ours: Counter[tuple[str, str]] = Counter()
        """How many of ours wait, by model and adapter: they say so themselves when they do no longer."""
        self._rates: Final[dict[str, Rates]] = {}
        self.news: Final = asyncio.Event()
        """Set when somebody waits for something new."""

    def want(self, model: str, name: str) -> None:
        """A request has just begun to wait."""
        now = self._clock()
        self._wanted[model, name] = now + _LASTS
        self._since.setdefault((model, name), now)
        self._used(name)
        self.news.set()

    def report(self, gateway: object, models: Mapping[str, Mapping[str, Demand]]) -> None:
        """What one gateway says now, of all that it uses."""
        now = self._clock()
        self._said[gateway] = models
        for model, names in models.items():
            for name, demand in names.items():
                if demand.served:
                    self._rates.setdefault(model, Rates()).served(name, demand.served, now)
                if demand.served or demand.active or demand.waiting:
                    self._used(name)
                if demand.waiting:
                    self._since.setdefault((model, name), now)
                    self.news.set()

    def ended(self, gateway: object) -> None:
        """A gateway is gone, with all its requests."""
        self._said.pop(gateway, None)

    @contextmanager
    def wishing(self, model: str, name: str) -> Iterator[None]:
        """Somebody of ours waits for it, for as long as it is entered."""
        self._ours[model, name] += 1
        self._since.setdefault((model, name), self._clock())
        self.news.set()
        try:
            yield
        finally:
            self._ours[model, name] -= 1
            self._ours += Counter()

    def served(self, model: str, name: str) -> None:
        """It is resident somewhere: who still waits, waits for a worker, and the next wish is a new one."""
        self._wanted.pop((model, name), None)
        self._since.pop((model, name), None)

    def answered(self, model: str, name: str) -> None:
        """It has just become resident: who waited is served now, though gateways say so only with their next report."""
        self.served(model, name)
        for gateway, models in self._said.items():
            if (said := models.get(model, {}).get(name)) and said.waiting:
                names = {**models[model], name: Demand(said.active, 0, said.served)}
                self._said[gateway] = {**models, model: names}

    def wishes(self, model: str) -> tuple[Wish, ...]:
        """Adapters of the model that requests wait for."""
        now = self._clock()
        for key in [key for key, until in self._wanted.items() if until < now]:
            del self._wanted[key]
        waiting = {name: 1 for base, name in (*self._wanted, *self._ours) if base == model}
        waiting |= {name: count for name, (_, count) in self.counts(model).items() if count}
        for key in [key for key in self._since if key[0] == model and key[1] not in waiting]:
            del self._since[key]
        return tuple(Wish(name, self._since.get((model, name), now), count) for name, count in waiting.items())

    def counts(self, model: str) -> dict[str, tuple[int, int]]:
        """By adapter: requests on workers, and requests that wait."""
        found: dict[str, tuple[int, int]] = {}
        for models in self._said.values():
            for name, demand in models.get(model, {}).items():
                active, waiting = found.get(name, (0, 0))
                found[name] = (active + demand.active, waiting + demand.waiting)
        return found

    def rates(self, model: str) -> Mapping[str, float]:
        """Requests per second lately, by adapter."""
        return self._rates[model].at(self._clock()) if model in self._rates else {}
