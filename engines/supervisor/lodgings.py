"""All that has to do with adapters, put together: store, ledger, steward, desk. Made by `main`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from engines.ledger.adding import Adding
from engines.ledger.desk import Desk
from engines.ledger.ledger import Ledger
from engines.ledger.loading import Loading
from engines.ledger.steward import Steward
from engines.ledger.stock import Stock
from engines.progress import silent
from engines.store.adapters import AdapterStore
from engines.store.fetching import fetch_adapter
from engines.supervisor.board import Board
from engines.supervisor.holds import Holds
from engines.supervisor.pacing import Pacing
from engines.supervisor.probe import Prober
from engines.supervisor.settings import ServeSettings
from engines.supervisor.worker import Clock
from engines.weights.cache import Cache
from engines.weights.hubs.catalogue import hubs
from engines.weights.remote import Fetching


@dataclass(frozen=True, slots=True)
class Lodgings:
    """Adapters, as the rest of the supervisor knows them."""

    stock: Stock
    steward: Steward
    desk: Desk


def lodgings(
    settings: ServeSettings, board: Board, holds: Holds, prober: Prober, clock: Clock, pacing: Pacing
) -> Lodgings:
    """Nothing of it runs yet; the store is not opened yet."""
    stock = Stock(AdapterStore(settings.state / "adapters", clock.wall), board.adapters)
    ledger = Ledger(clock.now, board.evicted)
    steward = Steward(ledger, stock, Loading(prober, stock, pacing), holds, clock.now, pacing)
    folder = settings.registry_path.absolute().parent
    adding = Adding(stock, steward, partial(_fetched, settings), folder, pacing.adapter_room)
    return Lodgings(stock, steward, Desk(stock, steward, adding))


async def _fetched(settings: ServeSettings, source: str, told: Callable[[str, float], None]) -> Path:
    fetching = Fetching(hubs(settings.env, settings.cache, silent), settings.env)
    return await fetch_adapter(source, Cache(settings.cache), fetching, told)
