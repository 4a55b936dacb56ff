"""Names that stand for several revisions: how these do on all gateways together, and when that ends by itself.

Told by `control` of what gateways report; what it decides is carried out as an order like any other's (`desk`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from engines.ledger.stock import Stock
from engines.ledger.verdict import Performance, verdict
from registry.adapter_orders import SplitAdapter, Tried
from registry.adapters import Canary

WHO: Final = "gateway"
"""Who ends a split by its rule, in its history: gateways saw it."""


@dataclass(slots=True)
class _Trial:
    canary: Canary
    current: str
    figures: dict[str, Performance] = field(default_factory=dict)
    over: bool = False


class Judging:
    """Invariant: what is counted is of the split that a name has now; each is ended once, unless its end fails."""

    def __init__(self, stock: Stock) -> None:
        self._stock: Final = stock
        self._trials: Final[dict[tuple[str, str], _Trial]] = {}

    def heard(self, tried: Tried) -> SplitAdapter | None:
        """The order that follows from a gateway's report; None: it goes on."""
        trial = self._trial(tried)
        if trial is None or trial.over:
            return None
        for digest, seen in tried.revisions.items():
            trial.figures.setdefault(digest, Performance()).add(seen)
        why = verdict(trial.canary, trial.current, trial.figures)
        trial.over = bool(why)
        return SplitAdapter(tried.model, tried.adapter, WHO, None, why) if why else None

    def failed(self, order: SplitAdapter) -> None:
        """It could not be ended (a full disk): the next report tries again."""
        if trial := self._trials.get((order.model, order.adapter)):
            trial.over = False

    def _trial(self, tried: Tried) -> _Trial | None:
        """Of the present split; None where the report is about another one, or there is none."""
        name = (tried.model, tried.adapter)
        canary, current = self._stock.split(*name), self._stock.current(*name)
        if canary is None or current is None:
            self._trials.pop(name, None)
            return None
        trial = self._trials.get(name)
        # One that was ended and made again in the same words is another split: the object is another one.
        if trial is None or trial.canary is not canary or trial.current != current.digest:
            trial = self._trials[name] = _Trial(canary, current.digest)
        return trial if tried.canary == canary else None
