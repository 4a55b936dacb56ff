"""The table of policies, by their names in the registry. Used by `pool.pool`, which never asks which one it has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from gateway.balance.least_loaded import LeastLoaded
from gateway.balance.policy import Policy
from gateway.balance.prefix_affinity import PrefixAffinity
from gateway.balance.round_robin import RoundRobin

POLICIES: Final[Mapping[str, Callable[[Callable[[], float]], Policy]]] = {
    "least_loaded": LeastLoaded,
    "prefix_affinity": PrefixAffinity,
    "round_robin": RoundRobin,
}
"""Name → what makes one for a new pool from a source of chances, each 0 ≤ chance < 1."""
