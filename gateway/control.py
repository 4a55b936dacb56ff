"""The gateway's end of the snapshot channel: a Unix socket to the supervisor, one JSON line a message.

Snapshots come in and are published as they come; what the gateway noticed about a worker goes out, and how much
models are used. The channel's end is the supervisor's end: `run` returns, and the gateway drains and leaves. What it
wants an answer to, it asks by `errands`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from registry.adapter_orders import AdapterUse, Missing, Tried, Want
from registry.figures import Count, Counted, Family
from registry.orders import LINE_LIMIT, Free, Gateway, Order, Suspect, Usage, answer, encode
from registry.snapshot import Snapshot, decode

_LOG: Final = logging.getLogger("enginehouse.gateway")
_LAST_WORD: Final = 1.0
"""Seconds for the channel to take what a gateway says on its way out."""


class Control:
    """Invariant: what is published is always a whole snapshot, in the order in which the supervisor made them."""

    def __init__(self, path: Path) -> None:
        self._path: Final = path
        self._writer: asyncio.StreamWriter | None = None
        self.informed: Final = asyncio.Event()
        """Set with the first snapshot."""

    async def run(self, publish: Callable[[Snapshot], None], counted: Callable[[], tuple[Family, ...]]) -> None:
        """Publish what comes until the channel ends, and say this process's figures when asked and at the end.

        Raises `OSError` if there is no supervisor.
        """
        reader, self._writer = await asyncio.open_unix_connection(self._path, limit=LINE_LIMIT)
        self._say(Gateway())
        try:
            while line := await reader.readline():
                self._heed(line, publish, counted)
        except (ConnectionError, msgspec.DecodeError, ValueError) as fault:
            _LOG.error("the snapshot channel broke: %s", fault)
        except asyncio.CancelledError:
            await self._last_word(self._writer, counted())
            raise
        finally:
            self._writer.close()
            self._writer = None

    def _heed(
        self, line: bytes, publish: Callable[[Snapshot], None], counted: Callable[[], tuple[Family, ...]]
    ) -> None:
        found = answer(line)
        if isinstance(found, Count):
            self._say(Counted(found.number, counted()))
        elif found is None:  # else it is what became of a split that ended by what was said here
            publish(decode(line))
            self.informed.set()

    async def _last_word(self, writer: asyncio.StreamWriter, figures: tuple[Family, ...]) -> None:
        """What this process has counted outlives it."""
        self._say(Counted(0, figures))
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

    def _say(self, order: Order) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(encode(order))
