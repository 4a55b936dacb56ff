"""The shape of a policy, and the table of those that exist. Used by `pool.pool`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from gateway.balance.least_loaded import least_loaded


class Load(Protocol):
    """What a policy may know of a worker."""

    inflight: int


Policy = Callable[[Sequence[Load]], int]
"""The index of the chosen one among candidates, of which there is at least one."""

POLICIES: Final[dict[str, Policy]] = {"least_loaded": least_loaded}
