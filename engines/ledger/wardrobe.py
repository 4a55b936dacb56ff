"""The adapters of engines that load none while they run: workers are started with them, and replaced for others.

Kept by `steward`. `pool` asks what its workers shall have, and tells who did not come up with it; `worker` has each
start given what it can have. What is added is tried on one worker first: `prove` waits until that holds it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from engines.launchers.launcher import Seat
from engines.ledger.knowledge import Knowledge
from engines.ledger.outfit import Outfit, Worn, chosen, invited
from engines.ledger.waits import Waits
from engines.store.failures import StoreFailed


class Wardrobe:
    """Invariant: what was refused is part of no outfit until somebody orders it again, or its time is over."""

    def __init__(self, known: Knowledge, clock: Callable[[], float], waits: Waits) -> None:
        self._demands: Final = known.demands
        self._figures: Final = known.figures
        self._stock: Final = known.stock
        self._recency: Final = known.recency
        self._ledger: Final = known.ledger
        self._clock: Final = clock
        self._waits: Final = waits
        self._tried: Final[dict[tuple[str, str], list[str]]] = {}
        """By model and adapter: revisions that are ordered now, and not published yet."""
        self._refused: Final[dict[str, tuple[str, float]]] = {}
        """Why, and until when."""
        self._proved: Final[set[str]] = set()
        """What some worker has made a token with."""
        self._losses: Final[Counter[frozenset[str]]] = Counter()
        self._last: Final[dict[str, tuple[object, tuple[str, ...], frozenset[str]]]] = {}
        """By model: from which orders and guests it was chosen, and what."""
        self._guests: Final[dict[str, tuple[str, ...]]] = {}
        """By model: what comes first after what is pinned and ordered, because requests have waited for it."""

    def outfit(self, model: str, slots: int, coming: frozenset[str] | None, takes: float) -> Outfit:
        """What its workers shall have. `coming`: what the first one is being started with now; that is not disturbed,
        so that what is ordered meanwhile has the next round. `takes`: the seconds of a start.
        """
        hold = any(base == model for base, _ in self._tried)
        if coming is not None and all(self._stock.named(name) and not self.fault(name) for name in coming):
            return Outfit(coming, hold)
        if not hold and (guests := self._invited(model, slots, takes)):
            self._guests[model] = guests
        return Outfit(self._chosen(model, slots), hold)

    async def packed(self, seat: Seat) -> Seat:
        """The seat with those of its outfit that can be had, verified."""
        found: dict[str, Path] = {}
        for name in sorted(seat.outfit):
            if revision := self._stock.named(name):
                try:
                    found[name] = await self._stock.store.verify(revision)
                except StoreFailed as failed:
                    self.refuse([name], str(failed))
        return replace(seat, adapters=found)

    def lost(self, names: frozenset[str], reason: str) -> None:
        """A worker that was started with these has ended; that it is theirs is taken for certain after some times."""
        if not self._unproved(names):
            return
        self._losses[names] += 1
        if self._losses[names] >= self._waits.swap_tries:
            self.deny(names, reason)

    def deny(self, names: frozenset[str], reason: str) -> None:
        """No worker will be started with these: what no worker has ever held of them is refused."""
        self._losses.pop(names, None)
        self.refuse(self._unproved(names), reason)

    def refuse(self, names: Iterable[str], reason: str) -> None:
        """Not to be tried again for a while."""
        until = self._clock() + self._waits.refit_again
        self._refused.update(dict.fromkeys(names, (reason, until)))
        self._ledger.tell()

    def proved(self, name: str) -> None:
        """A worker has made a token with it."""
        self._proved.add(name)
        self._refused.pop(name, None)

    def fault(self, name: str) -> str:
        """Why it is refused; empty: it is not."""
        reason, until = self._refused.get(name, ("", 0.0))
        return reason if self._clock() < until else ""

    def hopeless(self, model: str) -> Mapping[str, str]:
        """What no worker of the model is started with at present, by the engines' names, and why."""
        names = (name for name in self._refused if (found := self._stock.named(name)) and found.model == model)
        return {name: reason for name in names if (reason := self.fault(name))}

    @contextmanager
    def ordered(self, model: str, adapter: str) -> Iterator[None]:
        """Until it is left, what is proved of this adapter stays part of the outfit, published or not."""
        try:
            yield
        finally:
            self._tried.pop((model, adapter), None)

    async def prove(self, model: str, name: str, slots: int) -> Mapping[str, str]:
        """Once a worker holds it, or it is clear that none will; by worker, why it is not there (empty: it is)."""
        if len(self._stock.pinned(model) | {name}) > slots:
            return {model: f"all {slots} slots are taken by what is pinned"}
        self._refused.pop(name, None)
        self._tried.setdefault((model, _adapter(name)), []).append(name)
        within = self._waits.start_within + self._waits.swap_drain
        try:
            async with asyncio.timeout(within):
                while not (holders := self._serving(model, name)):
                    if reason := self.fault(name):
                        return {model: reason}
                    await self._ledger.change()
        except TimeoutError:
            self.refuse([name], "it took too long")
            return {model: f"no worker came up with it within {within:g} s"}
        return dict.fromkeys(holders, "")

    def _serving(self, model: str, name: str) -> tuple[str, ...]:
        holders = self._ledger.holders(name)
        return tuple(site.id for site in self._ledger.sites(model) if site.id in holders)

    def _unproved(self, names: Iterable[str]) -> frozenset[str]:
        return frozenset(names) - self._proved

    def _invited(self, model: str, slots: int, takes: float) -> tuple[str, ...]:
        """What requests have its workers be started with now, once all have what they shall; empty: nothing."""
        *_, names = self._last.get(model, (None, (), frozenset()))
        sites = self._ledger.sites(model)
        if not sites or any(frozenset(site.given) != names for site in sites):
            return ()
        wishes = sorted(self._demands.wishes(model), key=lambda wish: wish.since)
        wanted = [each.adapter for each in wishes if self._stock.named(each.adapter) and not self.fault(each.adapter)]
        if not wanted:
            return ()
        used = frozenset(name for name, (active, waiting) in self._demands.counts(model).items() if active or waiting)
        since = max((each.since for site in sites for each in self._ledger.lodgers(site.id).values()), default=0.0)
        kept = dict.fromkeys((*self._recency.latest(), *sorted(names)))
        worn, pinned = Worn(names, since, takes, used), self._stock.pinned(model)
        return invited(worn, wanted, tuple(kept), pinned, slots, self._clock(), self._waits.thrift)

    def _chosen(self, model: str, slots: int) -> frozenset[str]:
        """The same as before while nothing was ordered or invited."""
        tried = [name for (base, _), names in self._tried.items() if base == model for name in names]
        refused = frozenset(name for name in self._refused if self.fault(name))
        pinned, able = self._stock.pinned(model), self._stock.due(model)
        orders = (pinned, able, tuple(tried), refused, slots)
        before, had, names = self._last.get(model, (None, (), frozenset()))
        if before != orders:
            self._guests.pop(model, None)  # what is ordered says anew who comes first
        guests = self._guests.get(model, ())
        if (before, had) != (orders, guests):
            used = [name for name in self._recency.latest() if name in able]
            changing = {_adapter(name) for name in tried}
            due = sorted((*used, *able), key=lambda name: _adapter(name) in changing)
            fresh = chosen(pinned, tried, (*guests, *due, *self._stock.others(model)), refused, slots)
            for name in sorted(names - fresh):
                self._figures.evicted(model, name)
            self._last[model] = orders, guests, fresh
            return fresh
        return names


def _adapter(name: str) -> str:
    """Of an engine's name."""
    return name.rpartition("@")[0].rpartition(":")[2]
