"""What the parts of the ledger that decide have in common. Put together by `supervisor.lodgings`."""

from __future__ import annotations

from dataclasses import dataclass

from engines.ledger.demands import Demands
from engines.ledger.figures import Figures
from engines.ledger.ledger import Ledger
from engines.ledger.recency import Recency
from engines.ledger.stock import Stock


@dataclass(frozen=True, slots=True)
class Knowledge:
    """All that is known of adapters. Invariant: one of each for a supervisor."""

    stock: Stock
    """Which there are, and what names stand for."""
    ledger: Ledger
    """Which is loaded where."""
    demands: Demands
    """Which are waited for, and which are in use."""
    recency: Recency
    """Which were used last."""
    figures: Figures
    """How often what was done with them."""
