"""The picture that a placement is decided from, and the moves that come of it: values only, of one model's pool.

Adapters are named as engines call them (`registry.adapters.served_as`). All times are monotonic seconds. Built by the
ledger, read by `placement` and by what takes its place in benchmarks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum


class Residency(StrEnum):
    """Where an adapter is in its life on one worker. Owned by the ledger; everyone else only reads it.

    loading → resident → leaving → gone;   loading → gone (it failed).
    """

    LOADING = "loading"
    """On its way: no request is sent there for it."""
    RESIDENT = "resident"
    """Loaded, and proved by a token."""
    LEAVING = "leaving"
    """No new request; unloaded once those under way have ended. It keeps its slot until then."""


@dataclass(frozen=True, slots=True)
class Held:
    """One adapter on one worker."""

    adapter: str
    state: Residency
    since: float
    """When it entered that state."""
    used: float
    """When a request last began or ended there, at least the time when it was loaded."""
    active: int = 0
    """Requests for it on that worker."""


@dataclass(frozen=True, slots=True)
class Holder:
    """One ready worker."""

    worker: str
    slots: int
    held: tuple[Held, ...] = ()
    """Whatever takes a slot, in any state."""
    open: int = 0
    """Requests of every kind that it has under way."""
    seat: str = ""
    """What stays the same when the worker is started anew; empty: the worker's id."""
    refuses: frozenset[str] = frozenset()
    """Adapters that are not to be tried here now: the last try has just failed."""


@dataclass(frozen=True, slots=True)
class Wish:
    """Requests wait for an adapter."""

    adapter: str
    since: float
    """Since when the one that has waited longest does."""
    waiting: int = 1


@dataclass(frozen=True, slots=True)
class Picture:
    """One model's workers and what is wanted of them, at one moment."""

    now: float
    holders: tuple[Holder, ...]
    wishes: tuple[Wish, ...] = ()
    rates: Mapping[str, float] = field(default_factory=dict)
    """Requests per second lately (`rates.Rates`), by adapter; those that are not named had none."""
    pinned: frozenset[str] = frozenset()
    """Of which every worker holds a copy, always."""
    expected: tuple[str, ...] = ()
    """Which will be wanted: just promoted, or in use before a restart; the likeliest first."""


class Reason(Enum):
    """Why a move is made; its value is for people."""

    PINNED = "it is pinned"
    WANTED = "requests wait for it and no worker holds it"
    HOT = "its workers have too much of it to do"
    EXPECTED = "it will be wanted soon"
    MAKES_ROOM = "another is wanted, and this one was used least"
    OVERDUE = "another has waited too long"
    SURPLUS = "its other copies can do the work"
    EXCESS = "the worker holds more than its slots"


@dataclass(frozen=True, slots=True)
class Load:
    """Load it there and prove it; there is a slot free."""

    worker: str
    adapter: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class Evict:
    """Let it leave: no new request there, unloaded when those under way have ended."""

    worker: str
    adapter: str
    reason: Reason


Move = Load | Evict
Placement = Callable[[Picture], tuple[Move, ...]]
"""Decides one round: asked again whenever the picture has changed, and now and then because time passes."""
