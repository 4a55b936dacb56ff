"""Workers that somebody else runs: looked for, used, never started and never stopped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from engines.launchers import resolve
from engines.launchers.launcher import Found, Placed, Seat
from engines.launchers.resolve import Addresses, Resolve
from registry.external import ExternalSpec
from registry.spec import ModelSpec

_SOON: Final = 5.0
"""Seconds until names that could not be resolved are tried again, at most."""


@dataclass(frozen=True, slots=True)
class ExternalWorker:
    """A URL that somebody else answers at."""

    url: str
    key: str = ""
    pid: None = None
    log: None = None
    over: bool = False

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

    def __init__(self, resolve: Resolve = resolve.system) -> None:
        self._resolve: Final = resolve

    @asynccontextmanager
    async def place(self, seat: Seat) -> AsyncIterator[Placed]:
        yield ExternalWorker(seat.address, _terms(seat.spec).key or "")

    async def discover(self, spec: ModelSpec, found: Found) -> None:
        """As often as the registry says where there are names to be looked up; else once."""
        addresses = Addresses(spec.urls or (), self._resolve)
        if addresses.fixed:
            found(addresses.known)
            return
        every = _terms(spec).resolve_every
        while True:
            trouble = await addresses.look()
            found(addresses.known or None, trouble)
            await asyncio.sleep(min(every, _SOON) if trouble else every)

    def served_name(self, seat: Seat, listed: Sequence[str]) -> str:
        """The registry's; else our own if the worker knows it; else the one name that it has; else ours, and it will
        say 404.
        """
        told = _terms(seat.spec).served_name
        if told is not None:
            return told
        if seat.model not in listed and len(listed) == 1:
            return listed[0]
        return seat.model


def _terms(spec: ModelSpec) -> ExternalSpec:
    return spec.external or ExternalSpec()
