"""How long what was loaded stays loaded: what `supervisor.demand` and `ledger.outfit` decide by."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Thrift:
    """How long a model stays loaded at least, in multiples of the time that it took to load."""

    idle: float = 1.0
    """Where nobody uses it."""
    busy: float = 4.0
    """Where it is used all the time, and another model waits for its memory."""
    overdue: float = 3.0
    """Where it has not come up at all, and nobody waits for it any more."""
    forgets: float = 60.0
    """Seconds after which a model that waits for memory, and that nobody waits for, is not loaded after all."""
    pressed: float = 5.0
    """Seconds for which a model has more requests than its workers are to have, before there are more of them."""
    smooth: float = 2.0
    """Seconds over which its requests are averaged."""
