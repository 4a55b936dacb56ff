"""Several revisions behind one name: looked at, proved, noted, published. Called by `desk`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from engines.ledger.adding import Adding, Tell
from engines.ledger.refusing import Declined
from engines.ledger.stock import Stock
from engines.store.records import Revision
from registry.adapter_orders import SplitAdapter
from registry.adapters import Canary, Share


class Splitting:
    """Invariant: every revision of a split that is published is stored, and was proved."""

    def __init__(self, stock: Stock, adding: Adding) -> None:
        self._stock: Final = stock
        self._adding: Final = adding

    async def split(self, order: SplitAdapter, model: str, tell: Tell) -> tuple[Revision, Mapping[str, str]]:
        """What the name stands for beside it, and what does not hold it yet. Raises `refusing.FAILURES`."""
        current = await self._stock.store.find(model, order.adapter)
        canary = None
        faults: dict[str, str] = {}
        if order.canary is not None:
            asked = order.canary
            if asked.shadow is not None and not asked.split:  # a shadow alone
                asked = msgspec.structs.replace(asked, split=(Share(current.digest, 100),))
            canary, revisions = await self._resolved(asked, model, order.adapter)
            for each in revisions:
                faults |= await self._adding.proved_again(each, tell)
        await self._stock.store.note_split(model, order.adapter, order.who, canary, order.reason)
        await self._stock.refresh(model, order.adapter)
        return current, faults

    async def _resolved(self, canary: Canary, model: str, adapter: str) -> tuple[Canary, list[Revision]]:
        """With whole digests."""
        shares = (*canary.split, *([canary.shadow] if canary.shadow else []))
        if not canary.split or any(share.weight < 0 for share in shares) or not any(s.weight for s in canary.split):
            raise Declined(422, "split_refused", "a split has parts of 0 or more, and at least one above 0")
        found = [await self._stock.store.find(model, adapter, share.digest) for share in shares]
        if len({each.digest for each in found[: len(canary.split)]}) != len(canary.split):
            raise Declined(422, "split_refused", "a split names each revision once")
        whole = [Share(each.digest, share.weight) for each, share in zip(found, shares, strict=True)]
        split, shadow = tuple(whole[: len(canary.split)]), whole[-1] if canary.shadow else None
        return msgspec.structs.replace(canary, split=split, shadow=shadow), found
