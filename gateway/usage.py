"""Tells the supervisor how much adapters, and the models that are loaded on demand, are used: now and then, and at once
when such a model is asked for. A house without them tells nothing, and no request pays for it. Run by `app` beside the
requests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from gateway.pool.house import House
from gateway.pool.pool import Pool
from registry.adapter_orders import AdapterUse
from registry.orders import Usage, Use

EVERY: Final = 1.0
"""Seconds between two reports."""
OFTEN: Final = 0.25
"""The same where workers hold adapters: which of them is idle, and may make room for another, changes that fast."""
SOON: Final = 0.05
"""Seconds between two reports at least, however many requests ask for a model."""


class Reporter:
    """Invariant: every request that found no worker is in exactly one report."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock: Final = clock
        self._asked: Final[set[str]] = set()
        self._bell: Final = asyncio.Event()
        self._adapted = False
        """Whether the last report named adapters."""

    def asked(self, model: str) -> None:
        """A request found no worker of `model`, and one can come."""
        self._asked.add(model)
        self._bell.set()

    async def run(self, house: House, tell: Callable[[Usage | AdapterUse], None]) -> None:
        """Report until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(OFTEN if any(pool.model.adapter_slots for pool in house.pools) else EVERY):
                    await self._bell.wait()
            self._bell.clear()
            if usage := self._usage(house):
                tell(usage)
            if adapted := self._adapter_use(house):
                tell(adapted)
            await asyncio.sleep(SOON)

    def _usage(self, house: House) -> Usage | None:
        models = {pool.model.name: self._use(pool) for pool in house.pools if pool.model.on_demand is not None}
        self._asked.clear()
        return Usage(models) if models else None

    def _adapter_use(self, house: House) -> AdapterUse | None:
        """None where there is nothing to say, and was nothing before."""
        models = {pool.model.name: demand for pool in house.pools if (demand := pool.demand())}
        before, self._adapted = self._adapted, bool(models)
        return AdapterUse(models) if models or before else None

    def _use(self, pool: Pool) -> Use:
        quiet = None if pool.used is None else max(0.0, self._clock() - pool.used)
        return Use(pool.active, pool.waiting, pool.model.name in self._asked, quiet)
