"""The seam of choosing a worker: what a policy is told and what it answers. `policies` is the table of those there are.

A policy decides and remembers; it has no clock, no random source of its own, and does nothing. Used by `pool.pool`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple, Protocol

from gateway.balance.prefix import Prefix


class Reason(Enum):
    """Why a worker was chosen; its value is for people."""

    ONLY = "the only worker that could take it"
    LEAST_LOADED = "the least loaded"
    LESS_LOADED_OF_TWO = "the less loaded of two at random"
    TURN = "its turn"
    LONGEST_PREFIX = "it has most of the prompt cached"
    FAVOURITE_OVERLOADED = "the worker with more of the prompt cached has too much to do"
    FAVOURITE_AWAY = "the worker with more of the prompt cached cannot take it"
    NEW_PREFIX = "nobody has the prompt cached; its beginning belongs here"


class Choice(NamedTuple):
    """Which worker, and why. `matched` of `blocks` prompt blocks are thought to be cached there, of `among` workers."""

    worker: str
    reason: Reason
    among: int = 1
    matched: int = 0
    blocks: int = 0


class Policy(Protocol):
    """One per pool: what it remembers is of that pool's workers."""

    def choose(self, loads: Mapping[str, float], prefix: Prefix, now: float) -> Choice:
        """One of `loads`: open requests by worker id, this one included (more for a worker that was just ill).

        There is at least one, all of them can take the request, and the one that is returned will get it. `now` is in
        monotonic seconds.
        """

    def gone(self, worker: str) -> None:
        """That worker is no more, and nothing that was cached there."""
