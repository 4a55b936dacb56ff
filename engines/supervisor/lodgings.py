"""All that has to do with adapters, put together: store, ledger, steward, desk. Made by `main`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from engines.holds import Holds
from engines.ledger.adding import Adding, Tell
from engines.ledger.declared import Declared
from engines.ledger.demands import Demands
from engines.ledger.desk import Administration, Desk
from engines.ledger.figures import Figures
from engines.ledger.flights import Flights
from engines.ledger.following import Following
from engines.ledger.judging import Judging
from engines.ledger.knowledge import Knowledge
from engines.ledger.ledger import Ledger
from engines.ledger.loading import Loading
from engines.ledger.picture import Placement
from engines.ledger.placement import moves
from engines.ledger.recency import Recency
from engines.ledger.rounds import Rounds
from engines.ledger.steward import Steward
from engines.ledger.stock import Stock
from engines.ledger.sweeping import sweep
from engines.ledger.wardrobe import Wardrobe
from engines.probe import Prober
from engines.progress import silent
from engines.store.adapters import AdapterStore, Sharing
from engines.store.fetching import fetch_adapter
from engines.supervisor.board import Board
from engines.supervisor.events import Announce, unheard
from engines.supervisor.outlets import Clock
from engines.supervisor.pacing import Pacing
from engines.supervisor.settings import ServeSettings
from engines.weights.cache import Cache
from engines.weights.hubs.catalogue import hubs
from engines.weights.remote import Fetching
from engines.weights.transfer.guard import ALLOWED, Guard
from engines.weights.transfer.web import client
from registry import sources
from registry.adapter_orders import AdapterAnswer, AdapterRefusal, AdapterUse, Missing, SplitAdapter, Tried, Want


@dataclass(frozen=True, slots=True)
class Lodgings:
    """Adapters, as the rest of the supervisor knows them."""

    stock: Stock
    steward: Steward
    desk: Desk
    judging: Judging
    declared: Declared
    following: Following | None
    """None: other hosts, if there are any, have adapters of their own."""
    collect_every: float

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            if self.following is not None:
                group.create_task(self.following.run())
            group.create_task(self.declared.run())
            group.create_task(sweep(self.stock, self.steward.ledger, self.collect_every))
            await self.steward.run()

    async def obey(self, order: Administration, tell: Tell) -> AdapterAnswer:
        """Carries an administrator's order out."""
        answer = await self.desk.obey(order, tell)
        if isinstance(order, SplitAdapter) and isinstance(answer, AdapterRefusal):
            self.judging.failed(order)
        return answer

    def judged(self, tried: Tried) -> SplitAdapter | None:
        """What follows from how revisions did on a gateway."""
        return self.judging.heard(tried)

    def heard(self, gateway: object, said: Want | Missing | AdapterUse) -> None:
        """A gateway's word."""
        self.steward.heard(gateway, said)

    def ended(self, gateway: object) -> None:
        """A connection is gone."""
        self.steward.ended(gateway)


def lodgings(
    settings: ServeSettings,
    *,
    board: Callable[[], Board],
    holds: Holds,
    prober: Prober,
    clock: Clock,
    pacing: Pacing,
    announce: Announce = unheard,
    wake: Callable[[str], None] = lambda _: None,
    placement: Placement | None = None,
    sharing: Sharing | None = None,
) -> Lodgings:
    """Nothing of it runs yet, and the store is not opened yet. The board may come later; without a placement: ours."""
    root, now = settings.state / "adapters", clock.now

    def published(catalogue: bytes) -> None:
        board().adapters(catalogue)
        declared.look()

    stock = Stock(AdapterStore(root, clock.wall, sharing=sharing), published)
    known = _known(root, now, stock, board)
    loading = Loading(prober, stock, pacing)
    flights = Flights(known.ledger, loading, holds, known.figures, now, pacing)
    wardrobe = Wardrobe(known, now, pacing)
    decide = placement or partial(moves, bounds=pacing.adapters)
    rounds = Rounds(known, flights, wardrobe, decide, lambda lost: board().unloadable(lost), now, pacing.attend_every)
    steward = Steward(known, loading, flights, rounds, holds, wardrobe)
    adding = Adding(stock, steward, partial(_fetched, settings), settings.registry_path.absolute().parent, pacing, wake)
    desk = Desk(stock, steward, adding)
    declared = Declared(
        desk, stock, root / "watched.json", announce, lambda found: board().doubts(found), pacing.watch_every,
        pacing.prepare_again,
    )  # fmt: skip
    following = Following(stock, steward, lambda why: board().store(why), announce, pacing.follow_every)
    follows = following if sharing else None
    return Lodgings(stock, steward, desk, Judging(stock), declared, follows, pacing.collect_every)


def _known(root: Path, now: Callable[[], float], stock: Stock, board: Callable[[], Board]) -> Knowledge:
    recency = Recency(root / "recent.json")
    return Knowledge(
        stock=stock,
        ledger=Ledger(now, lambda leaving: board().evicted(leaving)),
        demands=Demands(now, recency.used),
        recency=recency,
        figures=Figures(now, lambda model, counted: board().figures(model, counted)),
    )


async def _fetched(settings: ServeSettings, source: str, told: Callable[[str, float], None], *, outside: bool) -> Path:
    fetching = Fetching(hubs(settings.env, settings.cache, silent), settings.env)
    if outside and sources.scheme(source) in {"http", "https"}:  # the other hubs are where the operator says
        guard = Guard(settings.env.get(ALLOWED, "").split(","))
        fetching = replace(fetching, http=partial(client, guard))
    return await fetch_adapter(source, Cache(settings.cache), fetching, told)
