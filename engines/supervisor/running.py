"""A pool that runs: made by `reconcile`, kept by `succession`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from engines.supervisor.board import Row
from engines.supervisor.pool import Pool
from registry.spec import ModelSpec


@dataclass(slots=True, eq=False)
class Running:
    """A pool, its row on the board, and the task that keeps it."""

    spec: ModelSpec
    row: Row
    pool: Pool
    since: float
    """When it was made, or it began to count how long nobody has used it, by the clock for durations."""
    task: asyncio.Task[None] = field(init=False)


Build = Callable[[ModelSpec, str | None], Running]
"""Makes a pool of a spec, with a row that nobody sees; its task is not started yet. The second argument is the claim
of the pool that it takes the place of."""
