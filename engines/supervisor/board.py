"""The present of all models and workers, and the one place where snapshots are made from it.

Each pool writes a `Row` of its own. A row that is shown is what its model's name means; one that is not yet shown
comes up beside it; one that leaves is shown no more, but its workers are listed until they are stopped. Every change
that gateways or people can see publishes a new `Snapshot`. In one event loop, so no locks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from registry.adapters import Resident, Unloadable
from registry.causes import Cause
from registry.snapshot import AdapterFigures, Loading, ModelView, Snapshot, Swap, WorkerState, WorkerView


class Row:
    """One pool's present. Invariant: whoever shows it hears of every change of `view`, and only of changes."""

    def __init__(self, view: ModelView, changed: Callable[[Row], None]) -> None:
        self.view = view
        self._changed: Final = changed
        self._seats: Final = dict(enumerate(view.workers))
        self._leaving: Final[dict[int, WorkerView]] = {}

    @property
    def ready(self) -> bool:
        """Whether some worker is ready."""
        return any(worker.state is WorkerState.READY for worker in self.view.workers)

    @property
    def leaving(self) -> tuple[WorkerView, ...]:
        """Workers that leave while the pool stays."""
        return tuple(self._leaving.values())

    def put(self, model: ModelView) -> None:
        """The model is another one from now on; its workers and its progress stay."""
        view, kept = self.view, ("workers", "loading", "served_name", "created", "trouble", "away_for")
        self._amend(msgspec.structs.replace(model, **{field: getattr(view, field) for field in kept}))

    def loading(self, loading: Loading | None) -> None:
        """How far the preparation is; None: the first worker has been ready."""
        self._with(loading=loading)

    def served_as(self, served_name: str) -> None:
        """What the workers call the model."""
        self._with(served_name=served_name)

    def loads_in(self, seconds: float) -> None:
        """How long the next load will take, of a pool on demand."""
        if self.view.on_demand is not None:
            self._with(on_demand=msgspec.structs.replace(self.view.on_demand, loads_in=seconds))

    def away(self, seconds: float | None) -> None:
        """Nobody serves for so long, as workers are replaced; None: somebody does again."""
        self._with(away_for=seconds)

    def trouble(self, trouble: str) -> None:
        """What is amiss, for people; empty: nothing."""
        self._with(trouble=trouble)

    def worker(self, seat: int, worker: WorkerView) -> None:
        """The worker in one seat of the pool; it replaces the one that sat there."""
        if seat in self._leaving:
            self._leaving[seat] = worker
            self._changed(self)
        else:
            self._seats[seat] = worker
            self._seated()

    def leave(self, seat: int) -> None:
        """The worker in this seat gets no new request any more: it is listed among those that leave."""
        if (worker := self._seats.pop(seat, None)) is not None:
            self._leaving[seat] = worker
            self._seated()

    def forget(self, seat: int) -> None:
        """The worker that left this seat is stopped."""
        if self._leaving.pop(seat, None) is not None:
            self._changed(self)

    def _seated(self) -> None:
        self._with(workers=tuple(worker for _, worker in sorted(self._seats.items())))

    def _with(self, **fields: Any) -> None:
        self._amend(msgspec.structs.replace(self.view, **fields))

    def _amend(self, view: ModelView) -> None:
        if view != self.view:
            self.view = view
            self._changed(self)


class Board:
    """Invariant: the last published snapshot is the present; revisions grow by one."""

    def __init__(self, publish: Callable[[Snapshot], None], *, gateways: int = 1) -> None:
        self._publish: Final = publish
        self._shown: dict[str, Row] = {}
        self._leaving: Final[list[Row]] = []
        self._swaps: Final[dict[str, tuple[Swap, Row | None]]] = {}
        self._order: dict[str, int] = {}
        self._doubts: Mapping[str, str] = {}
        """What is amiss with models' adapters."""
        self.snapshot = Snapshot(1, gateways=gateways)
        publish(self.snapshot)

    def row(self, view: ModelView) -> Row:
        """A place for a pool's news; nobody sees it yet."""
        return Row(view, self._changed)

    def show(self, row: Row) -> None:
        """From now on, and at once, this is what its model's name means; the row before it leaves."""
        before = self._shown.get(row.view.name)
        self._shown[row.view.name] = row
        if before is not None and before is not row:
            self._leaving.append(before)
        self._change()

    def drop(self, row: Row) -> None:
        """A model is gone; its workers leave."""
        if self._shown.get(row.view.name) is row:
            del self._shown[row.view.name]
            self._swaps.pop(row.view.name, None)
            self._leaving.append(row)
            self._change()

    def forget(self, row: Row) -> None:
        """The workers of a row that left are stopped."""
        if row in self._leaving:
            self._leaving.remove(row)
            self._change()

    def swap(self, swap: Swap, rising: Row | None = None) -> None:
        """How far a model's swap is; `rising` is the row of the pool that comes up and is not shown."""
        self._swaps[swap.model] = (swap, rising)
        self._change()

    def unswap(self, model: str) -> None:
        """Its swap was overtaken by another wish: it is neither done nor going on."""
        if self._swaps.pop(model, None) is not None:
            self._change()

    def order(self, names: Iterable[str]) -> None:
        """Models are shown in this order from now on; others come before them."""
        order = {name: place for place, name in enumerate(names)}
        if order != self._order:
            self._order = order
            self._change()

    def reloaded(self, error: str, at: float) -> None:
        """The registry file was read at this Unix time; empty `error`: it is what the board follows."""
        self.snapshot = msgspec.structs.replace(self.snapshot, reload_error=error, reloaded=at)
        self._change()

    def adapters(self, catalogue: bytes) -> None:
        """What adapters' names stand for from now on."""
        if catalogue != bytes(self.snapshot.adapters):
            self.snapshot = msgspec.structs.replace(self.snapshot, adapters=msgspec.Raw(catalogue))
            self._change()

    def doubts(self, found: Mapping[str, str]) -> None:
        """What is amiss with adapters, by model: shown with what else is amiss there."""
        if found != self._doubts:
            self._doubts = dict(found)
            self._change()

    def evicted(self, leaving: tuple[Resident, ...]) -> None:
        """Adapters that are to be unloaded once gateways let go of them."""
        self.snapshot = msgspec.structs.replace(self.snapshot, evicted=leaving)
        self._change()

    def unloadable(self, adapters: tuple[Unloadable, ...]) -> None:
        """Adapters that no worker can be given at present."""
        if adapters != self.snapshot.unloadable:
            self.snapshot = msgspec.structs.replace(self.snapshot, unloadable=adapters)
            self._change()

    def store(self, trouble: str) -> None:
        """Why the adapters that hosts share are not followed; empty: they are."""
        if trouble != self.snapshot.store_trouble:
            self.snapshot = msgspec.structs.replace(self.snapshot, store_trouble=trouble)
            self._change()

    def figures(self, model: str, figures: AdapterFigures) -> None:
        """What was done with a model's adapters. Gateways learn it with the next change that concerns them."""
        known = self.snapshot.adapter_figures | {model: figures}
        self.snapshot = msgspec.structs.replace(self.snapshot, adapter_figures=known)

    def lost(self, model: str, cause: Cause) -> None:
        """One of its workers has ended without having been asked to."""
        of_model = self.snapshot.losses.get(model, {})
        counted = of_model | {cause: of_model.get(cause, 0) + 1}
        self.snapshot = msgspec.structs.replace(self.snapshot, losses=self.snapshot.losses | {model: counted})
        self._change()

    def _place(self, row: Row) -> int:
        return self._order.get(row.view.name, -1)

    def _changed(self, row: Row) -> None:
        _, rising = self._swaps.get(row.view.name, (None, None))
        if row in (self._shown.get(row.view.name), rising, *self._leaving):
            self._change()

    def _doubted(self, view: ModelView) -> ModelView:
        doubt = self._doubts.get(view.name)
        if not doubt:
            return view
        return msgspec.structs.replace(view, trouble="; ".join(filter(None, (view.trouble, doubt))))

    def _departing(self) -> tuple[WorkerView, ...]:
        rising = [row for _, row in self._swaps.values() if row]
        ones = [worker for row in (*self._shown.values(), *rising, *self._leaving) for worker in row.leaving]
        return (*(worker for row in self._leaving for worker in row.view.workers), *ones)

    def _change(self) -> None:
        self.snapshot = msgspec.structs.replace(
            self.snapshot,
            revision=self.snapshot.revision + 1,
            models=tuple(self._doubted(row.view) for row in sorted(self._shown.values(), key=self._place)),
            leaving=self._departing(),
            swaps=tuple(
                msgspec.structs.replace(swap, loading=rising.view.loading) if rising else swap
                for swap, rising in self._swaps.values()
            ),
        )
        self._publish(self.snapshot)
