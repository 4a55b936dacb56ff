"""Where administrators' orders about adapters are carried out. Called by `supervisor.control`, one task an order.

Orders about one adapter wait for each other; those about different ones do not. A client that goes away undoes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from engines.ledger.adding import Adding, Tell
from engines.ledger.refusing import FAILURES, Declined, refusal
from engines.ledger.splitting import Splitting
from engines.ledger.steward import Steward
from engines.ledger.stock import Stock, name_of
from engines.ledger.turns import Turns
from engines.store.keeping import before
from engines.store.records import Revision
from registry import names
from registry.adapter_orders import (
    Adapted,
    AdapterAnswer,
    AddAdapter,
    ListAdapters,
    Listed,
    MoveState,
    PinAdapter,
    PromoteAdapter,
    RefusalState,
    RemoveAdapter,
    RevisionState,
    RollbackAdapter,
    SplitAdapter,
    split_state,
)
from registry.spec import ModelSpec, Registry

Administration = (
    AddAdapter | PromoteAdapter | RollbackAdapter | RemoveAdapter | PinAdapter | SplitAdapter | ListAdapters
)

Done = tuple[Revision, Mapping[str, str]]
"""What it was about, and by worker why that is not there yet."""


class Desk:
    """Invariant: every order has one answer, and what was refused has changed nothing."""

    def __init__(self, stock: Stock, steward: Steward, adding: Adding) -> None:
        self._stock: Final = stock
        self._steward: Final = steward
        self._adding: Final = adding
        self._splitting: Final = Splitting(stock, adding)
        self._turns: Final = Turns()
        self._models: Mapping[str, ModelSpec] = {}

    def adopt(self, registry: Registry) -> None:
        """These are the models from now on."""
        self._models = registry.models

    async def obey(self, order: Administration, tell: Tell, *, later: bool = False) -> AdapterAnswer:
        """The answer; on the way, how far it is. `later`: what is added need not be proved while no worker serves."""
        try:
            self._usable()
            if isinstance(order, ListAdapters):
                return await self._list(order)
            _check(order.adapter)
            if isinstance(order, RemoveAdapter) and (gone := self._orphaned(order)):
                async with self._turns.of((gone, order.adapter)):
                    await self._stock.meet(gone, order.adapter)
                    return await self._remove(order, gone)
            model, spec = self._model(order.model)
            async with self._turns.of((model, order.adapter)):
                await self._stock.meet(model, order.adapter)
                with self._steward.wardrobe.ordered(model, order.adapter):
                    return await self._change(order, model, spec, tell, later=later)
        except FAILURES as failed:
            return refusal(failed)
        except Exception as bug:  # noqa: BLE001 (the outermost of one order)
            return refusal(bug)

    async def _change(
        self, order: Administration, model: str, spec: ModelSpec, tell: Tell, *, later: bool
    ) -> AdapterAnswer:
        match order:
            case RemoveAdapter():
                return await self._remove(order, model)
            case AddAdapter():
                self._unmistakable(order.adapter, model)
                revision, faults = await self._adding.add(order, model, spec, tell, later=later)
            case PromoteAdapter():
                revision, faults = await self._promote(order, model, tell)
            case RollbackAdapter():
                revision, faults = await self._roll_back(order, model, tell)
            case PinAdapter():
                revision, faults = await self._pin(order, model, tell)
            case SplitAdapter():
                revision, faults = await self._splitting.split(order, model, tell)
            case ListAdapters():
                return await self._list(order)
        known = self._stock.of(model, order.adapter)
        return Adapted(next((self._state(each) for each in known if each.digest == revision.digest), None), faults)

    def _usable(self) -> None:
        if self._stock.fault:
            raise Declined(503, "store_damaged", self._stock.fault)

    def _model(self, name: str) -> tuple[str, ModelSpec]:
        for model, spec in self._models.items():
            if name == model or name in spec.aliases:
                return model, spec
        raise Declined(404, "model_not_found", f"there is no model {name[:100]!r}")

    def _orphaned(self, order: RemoveAdapter | ListAdapters) -> str:
        """The model that it means, where the registry has none of that name any more and its adapters are still here;
        else empty. An alias of another model may have taken the name.
        """
        try:
            model, _ = self._model(order.model)
        except Declined:
            model = ""
        mine = self._stock.has(order.model, order.adapter) and not self._stock.has(model, order.adapter)
        return order.model if mine else ""

    def _unmistakable(self, adapter: str, model: str) -> None:
        """Who asks for a new adapter by its name alone must not be answered by a model."""
        taken = any(adapter == name or adapter in spec.aliases for name, spec in self._models.items())
        if taken and not self._stock.of(model, adapter):
            said = f"{adapter!r} is what a model is called, which would answer in its place: choose another name"
            raise Declined(422, "adapter_name", said)

    async def _promote(self, order: PromoteAdapter, model: str, tell: Tell) -> Done:
        store, adapter = self._stock.store, order.adapter
        revision = await store.find(model, adapter, order.digest)
        faults = await self._adding.proved_again(revision, tell)
        revision = await store.promote(model, adapter, revision.digest, order.who, order.base)
        await self._stock.refresh(model, adapter)
        return revision, faults

    async def _roll_back(self, order: RollbackAdapter, model: str, tell: Tell) -> Done:
        store, adapter = self._stock.store, order.adapter
        faults: Mapping[str, str] = {}
        if back := before(await store.history(model, adapter)):
            faults = await self._adding.proved_again(await store.find(model, adapter, back), tell)
        revision = await store.rollback(model, adapter, order.who)
        await self._stock.refresh(model, adapter)
        return revision, faults

    async def _remove(self, order: RemoveAdapter, model: str) -> AdapterAnswer:
        revisions = self._stock.of(model, order.adapter)
        await self._stock.store.remove(model, order.adapter, order.who)
        await self._stock.refresh(model, order.adapter)
        for each in revisions:
            self._steward.evict(name_of(each))
        return Adapted()

    async def _pin(self, order: PinAdapter, model: str, tell: Tell) -> Done:
        store, adapter = self._stock.store, order.adapter
        revision = await store.find(model, adapter, order.digest)
        faults = await self._adding.proved_again(revision, tell) if order.pinned else {}
        await store.pin(model, adapter, revision.digest, pinned=order.pinned)
        await self._stock.refresh(model, adapter)
        return revision, faults

    async def _list(self, order: ListAdapters) -> Listed:
        store = self._stock.store
        model = (self._orphaned(order) or self._model(order.model)[0]) if order.model else ""
        revisions = await store.revisions(model, order.adapter)
        moves = await store.history(model, order.adapter) if order.adapter else ()
        history = (MoveState(m.at, m.who, str(m.why), model, order.adapter, m.was, m.now) for m in moves)
        refused = (
            RefusalState(r.at, r.who, r.model, r.adapter, r.source, r.place, r.findings)
            for r in await store.refusals()
            if model in {"", r.model} and order.adapter in {"", r.adapter}
        )
        known = dict.fromkeys((each.model, each.adapter) for each in revisions)
        splits = ((name, self._stock.split(*name)) for name in known)
        shown = tuple(split_state(*name, canary) for name, canary in splits if canary)
        return Listed(tuple(map(self._state, revisions)), tuple(history), tuple(refused), shown)

    def _state(self, revision: Revision) -> RevisionState:
        return RevisionState(
            model=revision.model,
            adapter=revision.adapter,
            digest=revision.digest,
            source=revision.source,
            who=revision.who,
            added=revision.added,
            octets=revision.octets,
            rank=revision.rank,
            current=revision.current,
            pinned=revision.pinned,
            workers=self._steward.ledger.holders(name_of(revision)),
        )


def _check(adapter: str) -> None:
    try:
        names.check_adapter(adapter)
    except names.NameRefused as refused:
        raise Declined(422, "adapter_name", f"an adapter's name {refused}") from None
