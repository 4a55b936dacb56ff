"""All that has to do with adapters, put together: store, ledger, steward, desk. Made by `main`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from engines.ledger.adding import Adding, Tell
from engines.ledger.declared import Declared
from engines.ledger.demands import Demands
from engines.ledger.desk import Administration, Desk
from engines.ledger.figures import Figures
from engines.ledger.flights import Flights
from engines.ledger.ledger import Ledger
from engines.ledger.loading import Loading
from engines.ledger.picture import Placement
from engines.ledger.placement import moves
from engines.ledger.recency import Recency
from engines.ledger.rounds import Rounds
from engines.ledger.splits import Splits
from engines.ledger.steward import Steward
from engines.ledger.stock import Stock
from engines.ledger.sweeping import sweep
from engines.ledger.wardrobe import Wardrobe
from engines.progress import silent
from engines.store.adapters import AdapterStore
from engines.store.fetching import fetch_adapter
from engines.supervisor.board import Board
from engines.supervisor.events import Announce, unheard
from engines.supervisor.holds import Holds
from engines.supervisor.outlets import Clock
from engines.supervisor.pacing import Pacing
from engines.supervisor.probe import Prober
from engines.supervisor.settings import ServeSettings
from engines.weights.cache import Cache
from engines.weights.hubs.catalogue import hubs
from engines.weights.remote import Fetching
from registry.adapter_orders import AdapterAnswer, AdapterUse, Missing, Want


@dataclass(frozen=True, slots=True)
class Lodgings:
    """Adapters, as the rest of the supervisor knows them."""

    stock: Stock
    steward: Steward
    desk: Desk
    declared: Declared
    collect_every: float

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.declared.run())
            group.create_task(sweep(self.stock, self.steward.ledger, self.collect_every))
            await self.steward.run()

    async def obey(self, order: Administration, tell: Tell) -> AdapterAnswer:
        """Carries an administrator's order out."""
        return await self.desk.obey(order, tell)

    def heard(self, gateway: object, said: Want | Missing | AdapterUse) -> None:
        """A gateway's word."""
        self.steward.heard(gateway, said)

    def ended(self, gateway: object) -> None:
        """A connection is gone."""
        self.steward.ended(gateway)


def lodgings(
    settings: ServeSettings,
    board: Callable[[], Board],
    holds: Holds,
    prober: Prober,
    clock: Clock,
    pacing: Pacing,
    announce: Announce = unheard,
    wake: Callable[[str], None] = lambda _: None,
    placement: Placement | None = None,
) -> Lodgings:
    """Nothing of it runs yet, and the store is not opened yet. The board may come later; without a placement: ours."""
    root, now = settings.state / "adapters", clock.now

    def published(catalogue: bytes) -> None:
        board().adapters(catalogue)
        declared.look()

    stock = Stock(AdapterStore(root, clock.wall), Splits(root / "splits.json"), published)
    ledger = Ledger(now, lambda leaving: board().evicted(leaving))
    recency = Recency(root / "recent.json")
    demands, loading = Demands(now, recency.used), Loading(prober, stock, pacing)
    figures = Figures(now, lambda model, counted: board().figures(model, counted))
    flights = Flights(ledger, loading, holds, figures, now, pacing)
    ours = partial(moves, bounds=pacing.adapters)
    wardrobe = Wardrobe(stock, recency, ledger, now, pacing)
    rounds = Rounds(
        ledger, stock, demands, recency, flights, placement or ours, wardrobe,
        lambda lost: board().unloadable(lost), now, pacing.attend_every,
    )  # fmt: skip
    steward = Steward(ledger, stock, demands, recency, loading, flights, rounds, holds, figures, wardrobe)
    adding = Adding(stock, steward, partial(_fetched, settings), settings.registry_path.absolute().parent, pacing, wake)
    desk = Desk(stock, steward, adding)
    declared = Declared(
        desk, stock, root / "watched.json", announce, lambda found: board().doubts(found), pacing.watch_every,
        pacing.prepare_again,
    )  # fmt: skip
    return Lodgings(stock, steward, desk, declared, pacing.collect_every)


async def _fetched(settings: ServeSettings, source: str, told: Callable[[str, float], None]) -> Path:
    fetching = Fetching(hubs(settings.env, settings.cache, silent), settings.env)
    return await fetch_adapter(source, Cache(settings.cache), fetching, told)
