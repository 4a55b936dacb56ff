"""An adapter's way in: fetch → examine → store → load → prove → publish. Called by `desk`, one at a time a name.

What fails on the way leaves nothing behind: no revision, no load, no name moved.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from engines import ENGINES
from engines.adapters.against import Against
from engines.adapters.below import against_model
from engines.ledger.refusing import Declined
from engines.ledger.steward import Steward
from engines.ledger.stock import Stock, name_of
from engines.ledger.waits import Waits
from engines.store.arrival import Arrival
from engines.store.failures import AdapterRefused, StoreFailed, StoreRefused
from engines.store.records import Revision
from registry import sources
from registry.adapter_orders import AddAdapter, Told
from registry.spec import ModelSpec

Tell = Callable[[Told], None]
_UPLOADED: Final = "the upload"
"""The source of what a gateway was sent: where it lay meanwhile is of no use to anybody."""
_AT_ONCE: Final = 8
"""Adapters that are proved side by side, by whomever they were added: more would only fight for slots."""


class Fetch(Protocol):
    """From a hub's address to a folder."""

    async def __call__(self, source: str, told: Callable[[str, float], None], *, outside: bool) -> Path:
        """`told` hears how far it is; `outside`: somebody outside may have named the address.

        Raises `StoreRefused`, `WeightsFailed`.
        """


class Adding:
    """Invariant: a revision is published only after a worker has made a token with it."""

    def __init__(
        self, stock: Stock, steward: Steward, fetch: Fetch, folder: Path, waits: Waits, wake: Callable[[str], None]
    ) -> None:
        self._stock: Final = stock
        self._steward: Final = steward
        self._fetch: Final = fetch
        self._folder: Final = folder
        """The registry file's."""
        self._waits: Final = waits
        self._wake: Final = wake
        """Has a model on demand come up."""
        self._proving: Final = asyncio.Semaphore(_AT_ONCE)

    async def add(
        self, order: AddAdapter, model: str, spec: ModelSpec, tell: Tell, *, later: bool
    ) -> tuple[Revision, Mapping[str, str]]:
        """The revision, and by worker why it is not there yet. Raises `refusing.FAILURES`.

        `later`: where no worker serves, one that comes up proves it before it is ready; and where the name stands for
        it already, nothing is promoted, for that would end a split at each start.
        """
        try:
            return await self._add(order, model, spec, tell, later=later)
        finally:
            if order.consumed:
                await asyncio.to_thread(_clear, Path(order.source))

    async def _add(
        self, order: AddAdapter, model: str, spec: ModelSpec, tell: Tell, *, later: bool
    ) -> tuple[Revision, Mapping[str, str]]:
        stock, current = self._stock, self._stock.current(model, order.adapter)
        self._check(order, current, spec)
        path = await self._obtained(order, tell)
        tell(Told("examining it"))
        weights = self._steward.weights(model)
        why = "its weights are not here yet"
        against = await asyncio.to_thread(against_model, model, spec, self._folder, weights, why)
        known = {each.digest for each in stock.of(model, order.adapter)}
        source = _UPLOADED if order.consumed else order.source
        revision = await self._stored(Arrival(model, order.adapter, path, order.who, source), against)
        promote = order.promote and not (later and current is not None and current.digest == revision.digest)
        stock.expect(revision)
        try:
            faults = await (self.proved_again if later else self.proved)(revision, tell)
            await stock.store.admit(revision, order.who, order.base, promote=promote)
        except BaseException:
            if revision.digest not in known:
                await self._undo(revision)
            raise
        await stock.refresh(model, order.adapter)
        return revision, faults

    async def _stored(self, arrival: Arrival, against: Against) -> Revision:
        try:
            return await self._stock.store.add(arrival, against)
        except AdapterRefused:
            raise
        except StoreRefused as refused:
            raise Declined(422, "adapter_refused", str(refused)) from None
        except OSError as fault:  # of the source: what the disk says of ours, the store has translated
            raise Declined(422, "adapter_refused", str(fault)) from None

    def _check(self, order: AddAdapter, current: Revision | None, spec: ModelSpec) -> None:
        if not spec.adapters.slots:
            said = f"{order.model} takes no adapters: set `adapters: {{slots: 4}}` in the registry"
            raise Declined(422, "adapters_off", said)
        if spec.urls is not None and not ENGINES[spec.engine].capabilities.hot_adapters:
            said = f"{spec.engine} loads no adapters while it runs, and {order.model} has workers that are not ours"
            raise Declined(422, "adapters_not_hot", said)
        digest = current.digest if current else ""
        if order.base is not None and order.base != digest:
            said = f"{order.model}:{order.adapter} stands for {digest or 'nothing'}, not for {order.base or 'nothing'}"
            raise Declined(409, "adapter_moved", said)

    async def _obtained(self, order: AddAdapter, tell: Tell) -> Path:
        source = order.source
        if sources.is_path(source):
            return self._folder / source
        tell(Told("fetching it"))
        return await self._fetch(source, lambda step, fraction: tell(Told(step, fraction)), outside=order.outside)

    async def proved(self, revision: Revision, tell: Tell) -> Mapping[str, str]:
        """Has it make a token on every worker that has room; by worker, why not. Raises `Declined` where none does."""
        tell(Told("waiting for a worker"))
        self._wake(revision.model)
        if not await self._steward.serves(revision.model, self._waits.adapter_worker):
            said = f"no worker of {revision.model} serves now, so that it cannot be proved: try again"
            raise Declined(503, "no_worker", said)
        tell(Told("waiting for its turn"))
        async with self._proving:
            tell(Told("loading it"))
            found = await self._steward.spread(revision.model, name_of(revision), self._waits.adapter_room)
        faults = {worker: reason for worker, reason in found.items() if reason}
        if len(faults) == len(found):
            said = f"no worker of {revision.model} took it: " + "; ".join(dict.fromkeys(faults.values()))
            raise Declined(502, "adapter_not_loaded", said, faults)
        return faults

    async def proved_again(self, revision: Revision, tell: Tell) -> Mapping[str, str]:
        """As `proved`; but where no worker serves now, the next one will, before it is ready."""
        if not self._steward.ledger.sites(revision.model):
            return {}
        self._stock.expect(revision)
        return await self.proved(revision, tell)

    async def _undo(self, revision: Revision) -> None:
        name = name_of(revision)
        self._steward.evict(name)
        self._stock.withdraw(revision)
        with suppress(StoreFailed):
            await self._stock.store.discard(revision)


def _clear(upload: Path) -> None:
    if upload.is_dir() and not upload.is_symlink():
        shutil.rmtree(upload, ignore_errors=True)
    else:
        upload.unlink(missing_ok=True)
