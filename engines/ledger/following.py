"""Follows what other hosts do with the adapters that all share. Run by `lodgings`, where the registry has a `store`.

Twice a second it asks what has changed, which also says whether anybody answers: no other heartbeat, no subscription
that could be lost without a word. What cannot be reached is asked again at the next look.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from engines.ledger.events import AdaptersApart, AdaptersTogether
from engines.ledger.steward import Steward
from engines.ledger.stock import Stock, name_of
from engines.store.failures import StoreAway, StoreFailed
from registry.adapter_orders import Want

_WITHIN: Final = 60.0
"""Seconds for a look; then that is said, and it goes on."""
_SAID: Final = 3
"""Troubles that are said at once."""


class Following:
    """Invariant: what is shown of the store's troubles is what the last look found."""

    def __init__(
        self,
        stock: Stock,
        steward: Steward,
        show: Callable[[str], None],
        announce: Callable[[AdaptersApart | AdaptersTogether], None],
        every: float,
        within: float = _WITHIN,
    ) -> None:
        self._stock: Final = stock
        self._steward: Final = steward
        self._show: Final = show
        """Puts the trouble on the board; empty: none."""
        self._announce: Final = announce
        self._every: Final = every
        self._within: Final = within
        self._shown = ""
        self._unread: Final[set[tuple[str, str]]] = set()
        """Models and adapters that others have changed, and that are not published yet."""

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                looking = group.create_task(self.look())
                await asyncio.wait({looking}, timeout=self._within)
                if not looking.done():
                    self._tell(f"a look takes more than {self._within:g} s: much to fetch, or the shared folder hangs")
                self._tell(await looking)
                await asyncio.sleep(self._every)

    async def look(self) -> str:
        """Once; why this host does not follow, empty: it does."""
        try:
            found = await self._stock.store.follow()
            self._unread.update(found.changed)
            await self._read()
        except StoreAway as away:
            return f"{away}; what is here is served on, and orders about adapters are refused"
        except StoreFailed as failed:
            return str(failed)
        except Exception as bug:  # noqa: BLE001 (the outermost loop of following)
            return f"a bug of ours: {bug!r}"
        return _told(found.troubles)

    async def _read(self) -> None:
        """What cannot be read now is read after the next look."""
        unread = sorted(self._unread)
        await self._stock.refresh_all(unread)
        self._unread.clear()
        for model, adapter in unread:
            self._load(model, adapter)

    def _load(self, model: str, adapter: str) -> None:
        """What a name stands for now is loaded before somebody has to wait for it."""
        current = self._stock.current(model, adapter)
        if current is not None and not self._steward.ledger.known(name_of(current)):
            self._steward.heard(self, Want(model, name_of(current)))

    def _tell(self, trouble: str) -> None:
        if trouble == self._shown:
            return
        before, self._shown = self._shown, trouble
        self._show(trouble)
        if trouble:
            self._announce(AdaptersApart(trouble))
        elif before:
            self._announce(AdaptersTogether())


def _told(troubles: Mapping[str, str]) -> str:
    said = [f"{name} is not followed: {why}" if name else why for name, why in sorted(troubles.items())]
    more = f"; and {len(said) - _SAID} more" if len(said) > _SAID else ""
    return "; ".join(said[:_SAID]) + more
