"""Workers that somebody else runs: looked for, used, never started and never stopped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from engines.launchers.launcher import Found, Placed, Seat
from registry.spec import ModelSpec


@dataclass(frozen=True, slots=True)
class ExternalWorker:
    """A URL that somebody else answers at."""

    url: str
    key: str = ""
    pid: None = None
    log: None = None

    async def ended(self) -> str:
        """Never: an external worker that does not answer is unhealthy, not ended."""
        await asyncio.Event().wait()
        return ""

    def kill(self) -> None:
        """Not ours to kill."""


class External:
    """Invariant: changes nothing in the world."""

    prepares: Final = False
    here: Final = False

    @asynccontextmanager
    async def place(self, seat: Seat) -> AsyncIterator[Placed]:
        yield ExternalWorker(seat.address)

    async def discover(self, spec: ModelSpec, found: Found) -> None:
        found(spec.urls or ())

    def served_name(self, seat: Seat, listed: Sequence[str]) -> str:
        """Our own name if the worker knows it; else the one name that it has; else ours, and it will say 404."""
        if seat.model not in listed and len(listed) == 1:
            return listed[0]
        return seat.model
