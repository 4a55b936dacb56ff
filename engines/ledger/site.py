"""A live worker, as far as adapters concern it. Made by `supervisor.worker` once it has generated a token."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from engines.engine import Engine
from engines.launchers.launcher import Seat
from engines.ledger.outfit import Outfit


@dataclass(frozen=True, slots=True)
class Site:
    """Invariant: stands for one process: a restarted worker is another site."""

    id: str
    """The worker's, new for every start."""
    model: str
    url: str
    key: str
    engine: Engine
    slots: int
    """Adapters that it holds at once; 0: none ever."""
    open: Callable[[], bool]
    """Whether it serves now."""
    show: Callable[[], None]
    """What it holds has changed: publish it."""
    ours: bool = True
    """Whether we started it."""
    weights: Path | None = None
    """What it loaded, where that is known."""
    given: tuple[str, ...] = ()
    """Adapters that it was started with."""

    @property
    def hot(self) -> bool:
        """Whether it can be given others while it runs."""
        return self.engine.capabilities.hot_adapters


class Lodge(Protocol):
    """Whoever sees to it that workers hold what they shall: `steward`, as a worker knows it."""

    def outfit(self, model: str, slots: int, coming: frozenset[str] | None, takes: float) -> Outfit:
        """What workers are started with from now on that cannot be given more; `coming`: what the first one is being
        started with that is to have another outfit than those that serve; `takes`: the seconds of a start.
        """

    async def packed(self, seat: Seat) -> Seat:
        """The seat with the adapters that its worker is started with now."""

    def lost(self, names: frozenset[str], reason: str) -> None:
        """A worker that was started with these adapters has ended."""

    def deny(self, names: frozenset[str], reason: str) -> None:
        """No worker will be started with these adapters."""

    def lodging(self, site: Site) -> AbstractAsyncContextManager[None]:
        """Loads what the worker shall hold; for as long as it is entered, the worker may be given more."""

    def resident(self, worker: str) -> tuple[str, ...]:
        """What requests may be sent to the worker for."""

    def remarks(self, worker: str) -> tuple[str, ...]:
        """What is not as it should be with the worker's adapters, or lately was not; for people."""

    async def look(self, worker: str) -> None:
        """The worker has just been probed, and is well."""
