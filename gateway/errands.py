"""What a gateway has the supervisor do, and waits for the answer to: each over a connection of its own.

On the snapshot channel (`control`) nothing is waited for. Called by the administrator's routes and by `scrape`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from gateway.errors import Unavailable
from registry.adapter_orders import Adapted, AdapterOrder, AdapterRefusal, Listed, Told
from registry.figures import Sum, Summed
from registry.orders import LINE_LIMIT, Answer, Order, Reload, Steps, answer, encode
from registry.snapshot import Snapshot, decode

_LOG: Final = logging.getLogger("enginehouse.gateway")
_PATIENCE: Final = 60.0
"""Seconds for a reload; reading a file takes parts of one."""
_LONG_PATIENCE: Final = 3600.0
"""Seconds for an adapter, which may be fetched from far away."""
_SUM_PATIENCE: Final = 3.0
"""Seconds for the sum of all gateways' figures: the supervisor waits one for them, a scraper waits ten."""
_SILENT: Final = "The supervisor did not answer."


class Errands:
    """Invariant: what an errand has changed is published before its answer is given."""

    def __init__(self, path: Path, publish: Callable[[Snapshot], None]) -> None:
        self._path: Final = path
        self._publish: Final = publish

    async def reload(self) -> Steps:
        """Have the supervisor read its registry file now. Raises `Unavailable` if it cannot be asked."""
        found = await self._ask(Reload(), _PATIENCE)
        if isinstance(found, Steps):
            return found
        raise Unavailable(_SILENT, retry_after=1.0)

    async def summed(self) -> Summed:
        """What all gateways of the host have counted. Raises `Unavailable` if it cannot be asked."""
        found = await self._ask(Sum(), _SUM_PATIENCE)
        if isinstance(found, Summed):
            return found
        raise Unavailable(_SILENT, retry_after=1.0)

    async def administer(self, order: AdapterOrder) -> Adapted | Listed | AdapterRefusal:
        """Have the supervisor do something about adapters. Raises `Unavailable` if it cannot be asked."""
        found = await self._ask(order, _LONG_PATIENCE)
        if isinstance(found, Adapted | Listed | AdapterRefusal):
            return found
        raise Unavailable(_SILENT, retry_after=1.0)

    async def _ask(self, order: Order, patience: float) -> Answer:
        """The one answer to `order`."""
        try:
            async with asyncio.timeout(patience):
                reader, writer = await asyncio.open_unix_connection(self._path, limit=LINE_LIMIT)
                try:
                    writer.write(encode(order))
                    newest = b""
                    while line := await reader.readline():
                        found = answer(line)
                        if found is None:
                            newest = line
                        elif not isinstance(found, Told):
                            # Who hears the answer may ask for what it changed at once; a sum changes nothing.
                            if newest and not isinstance(found, Summed):
                                self._publish(decode(newest))
                            return found
                finally:
                    writer.close()
        except (OSError, ValueError, TimeoutError, msgspec.DecodeError) as fault:
            _LOG.error("the supervisor could not be asked: %s", fault)
        raise Unavailable(_SILENT, retry_after=1.0)
