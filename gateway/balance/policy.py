"""The shape of a policy, and the table of those that exist. Used by `pool.pool`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from gateway.balance.least_loaded import least_loaded

Policy = Callable[[Sequence[float]], int]
"""Loads of the candidates, of which there is at least one → the index of the chosen one."""

POLICIES: Final[dict[str, Policy]] = {"least_loaded": least_loaded}
