"""Now and then, revisions that nothing needs any more are removed. Run by `lodgings`."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from engines.ledger.ledger import Ledger
from engines.ledger.stock import Stock
from engines.store.failures import StoreFailed
from engines.store.keeping import KEEP, Keep


async def sweep(stock: Stock, ledger: Ledger, every: float) -> None:
    """Until cancelled; `every`: seconds. What cannot be removed now is removed another time."""
    while True:
        await asyncio.sleep(every)
        with suppress(StoreFailed):
            await collect(stock, ledger)


async def collect(stock: Stock, ledger: Ledger, keep: Keep = KEEP) -> None:
    """Once. What a worker holds, in whatever state, is needed. Raises `StoreFailed`."""
    held = {name for site in ledger.workers() for name in ledger.lodgers(site.id)}
    loaded = {revision.digest for name in held if (revision := stock.named(name))}
    gone = await stock.store.collect(loaded, keep)
    await stock.refresh_all({(each.model, each.adapter) for each in gone})
