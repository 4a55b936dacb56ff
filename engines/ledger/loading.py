"""The acts on one worker: load, prove, unload, list. Every failure comes back in words.

`flights` has it load, prove and unload; `steward` asks it for what is listed.
"""

from __future__ import annotations

from typing import Final

from engines.ledger.site import Site
from engines.ledger.stock import Stock
from engines.ledger.waits import Waits
from engines.probe import Prober
from engines.store.failures import StoreDamaged, StoreFailed


class Loading:
    """Invariant: keeps nothing; what it did is for `ledger` to know."""

    def __init__(self, prober: Prober, stock: Stock, waits: Waits) -> None:
        self._prober: Final = prober
        self._stock: Final = stock
        self._waits: Final = waits

    async def load(self, site: Site, name: str) -> str:
        """Load the adapter and have it make a token; empty, or why it is not there. Nothing half-loaded stays.

        Raises `StoreDamaged` where there is nothing to load any more.
        """
        revision = self._stock.named(name)
        if revision is None:
            return f"there is no {name} any more"
        try:
            path = await self._stock.store.verify(revision)
        except StoreDamaged:
            raise
        except StoreFailed as failed:
            return str(failed)
        call = site.engine.load_adapter(name, path)
        if call is None:
            return await self.prove(site, name) if name in site.given else f"it was started without {name}"
        verdict = await self._prober.order(site.url, site.key, call, within=self._waits.adapter_within)
        if not verdict.good and name not in (await self.listed(site) or ()):
            return verdict.reason
        return await self.prove(site, name)

    async def prove(self, site: Site, name: str) -> str:
        """One token of the adapter; without, it is unloaded. Empty, or why."""
        call = site.engine.warm_up(name)
        verdict = await self._prober.warm_up(site.url, site.key, call, within=self._waits.warm_up_within)
        if verdict.good:
            return ""
        await self.unload(site, name)
        return f"it makes no token: {verdict.reason}"

    async def unload(self, site: Site, name: str) -> str:
        """Empty, or why it is still there."""
        call = site.engine.unload_adapter(name)
        if call is None:
            return f"{site.engine.name} unloads no adapters while it runs"
        verdict = await self._prober.order(site.url, site.key, call, within=self._waits.adapter_within)
        return "" if verdict.good or name not in (await self.listed(site) or ()) else verdict.reason

    async def listed(self, site: Site) -> frozenset[str] | None:
        """The adapters that the worker says it has, as engines are asked for them; None: it does not say."""
        listed = await self._prober.listed(site.url, site.key, within=self._waits.probe_within)
        if not listed.names:
            return None
        # SGLang leaves the model's name out.
        whole = (f"{site.model}:{name}" if "@" in name and ":" not in name else name for name in listed.adapters)
        return frozenset(whole)
