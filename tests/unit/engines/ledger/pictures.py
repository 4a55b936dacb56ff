"""Pictures for the tests of placement: short words for what is where."""

from __future__ import annotations

from engines.ledger.picture import Held, Holder, Residency

NOW = 1000.0


def held(adapter: str, *, active: int = 0, used: float = 10.0, there: float = 100.0, leaving: bool = False) -> Held:
    """Resident (or leaving) for `there` seconds, last used `used` seconds ago."""
    state = Residency.LEAVING if leaving else Residency.RESIDENT
    return Held(adapter, state, NOW - there, NOW - used, active)


def loading(adapter: str) -> Held:
    """On its way."""
    return Held(adapter, Residency.LOADING, NOW, NOW)


def holder(worker: str, *there: Held, slots: int = 2, load: int = 0, refuses: tuple[str, ...] = ()) -> Holder:
    """A worker whose seat is its first letter."""
    return Holder(worker, slots, there, load, worker[:1], frozenset(refuses))
