"""The gateway's end of the snapshot channel: a Unix socket to the supervisor, one JSON line a message.

Snapshots come in and are published as they come; what the gateway noticed about a worker goes out, and how much
models are used. The channel's end is the supervisor's end: `run` returns, and the gateway drains and leaves.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from gateway.errors import Unavailable
from registry.adapter_orders import (
    Adapted,
    AdapterOrder,
    AdapterRefusal,
    AdapterUse,
    Listed,
    Missing,
    Told,
    Tried,
    Want,
)
from registry.figures import Count, Counted, Family, Sum, Summed
from registry.orders import Answer, Free, Gateway, Order, Reload, Steps, Suspect, Usage, answer, encode
from registry.snapshot import Snapshot, decode

_LOG: Final = logging.getLogger("enginehouse.gateway")
_FRAME_LIMIT: Final = 64 * 1024 * 1024
"""Bytes of one snapshot, at most: ten thousand models are about ten million."""
_PATIENCE: Final = 60.0
"""Seconds for a reload; reading a file takes parts of one."""
_LONG_PATIENCE: Final = 3600.0
"""Seconds for an adapter, which may be fetched from far away."""
_SUM_PATIENCE: Final = 3.0
"""Seconds for the sum of all gateways' figures: the supervisor waits one for them, a scraper waits ten."""
_LAST_WORD: Final = 1.0
"""Seconds for the channel to take what a gateway says on its way out."""
_SILENT: Final = "The supervisor did not answer."


class Control:
    """Invariant: what is published is always a whole snapshot, in the order in which the supervisor made them."""

    def __init__(
        self,
        path: Path,
        publish: Callable[[Snapshot], None],
        counted: Callable[[], tuple[Family, ...]] = lambda: (),
    ) -> None:
        self._path: Final = path
        self._publish: Final = publish
        self._counted: Final = counted
        """This process's figures."""
        self._writer: asyncio.StreamWriter | None = None
        self.informed: Final = asyncio.Event()
        """Set with the first snapshot."""

    async def run(self) -> None:
        """Publish what comes until the channel ends. Raises `OSError` if there is no supervisor."""
        reader, self._writer = await asyncio.open_unix_connection(self._path, limit=_FRAME_LIMIT)
        self._say(Gateway())
        try:
            while line := await reader.readline():
                self._heed(line)
        except (ConnectionError, msgspec.DecodeError, ValueError) as fault:
            _LOG.error("the snapshot channel broke: %s", fault)
        except asyncio.CancelledError:
            await self._last_word(self._writer)
            raise
        finally:
            self._writer.close()
            self._writer = None

    def _heed(self, line: bytes) -> None:
        found = answer(line)
        if isinstance(found, Count):
            self._say(Counted(found.number, self._counted()))
        elif found is None:  # else it is what became of a split that we have ended
            self._publish(decode(line))
            self.informed.set()

    async def _last_word(self, writer: asyncio.StreamWriter) -> None:
        """What this process has counted outlives it."""
        self._say(Counted(0, self._counted()))
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(_LAST_WORD):
                writer.close()
                await writer.wait_closed()

    def tell(self, usage: Usage | AdapterUse | Tried) -> None:
        """Say how much models, or adapters, are used, or how revisions do. Never waits; without a channel: nothing."""
        self._say(usage)

    def lack(self, lacking: Want | Missing) -> None:
        """Say which adapter requests miss. Never waits; without a supervisor: nothing."""
        self._say(lacking)

    def suspect(self, worker: str, reason: str) -> None:
        """Ask the supervisor to look at `worker` now. Never waits; without a supervisor it does nothing."""
        self._say(Suspect(worker, reason))

    def free(self, worker: str) -> None:
        """Tell the supervisor that no request of this gateway is on `worker`, which gets none any more."""
        self._say(Free(worker))

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
        """The one answer to `order`, over a connection of its own: on the other one come snapshots, and nothing is
        waited for.
        """
        try:
            async with asyncio.timeout(patience):
                reader, writer = await asyncio.open_unix_connection(self._path, limit=_FRAME_LIMIT)
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

    def _say(self, order: Order) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(encode(order))
