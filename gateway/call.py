"""One request, understood: made by `api.inference`, passed through `relay` and `resuming`, changed by nobody."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from engines.engine import Engine
from gateway.exchange import Exchange
from gateway.operations import Operation
from gateway.patience import Patience
from gateway.pool.pool import Pool
from gateway.pool.queue import Priority
from registry.snapshot import Target

Notice = Callable[[str, str], None]
"""What others are told on the way: `suspect(worker id, reason)` the supervisor, `retried(model, reason)` and
`resumed(model, outcome)` the metrics."""


class Call(msgspec.Struct, frozen=True, gc=False):
    """Everything that the attempts need, and nothing that they change."""

    operation: Operation
    target: Target
    pool: Pool
    engine: Engine
    body: bytes
    usage_asked: bool
    """Whether the client asked for the usage event of its stream."""
    priority: Priority
    patience: Patience
    exchange: Exchange
    wait: float | None = None
    """Seconds for which the client waits for what has to be loaded first; None: as long as the model allows."""
    needs: str = ""
    """The adapter that its worker must hold, as engines call it; empty: none."""
