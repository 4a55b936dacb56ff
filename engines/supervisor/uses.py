"""How much models on demand are used, over all gateways. Fed by `control`, asked by `attendance`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from registry.orders import Use


@dataclass(frozen=True, slots=True)
class Used:
    """One model's use. Times are seconds of the supervisor's clock."""

    busy: bool = False
    """Whether a request is on its workers, or waits for one."""
    requests: int = 0
    """How many are, or do."""
    waiting: int = 0
    last: float | None = None
    """When there last was a request."""
    asked: float | None = None
    """When one last found no worker."""


class Uses:
    """Invariant: what a gateway said counts until it says otherwise, or is gone; when it was said is kept."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock: Final = clock
        self._said: Final[dict[object, Mapping[str, Use]]] = {}
        self._last: Final[dict[str, float]] = {}
        self._asked: Final[dict[str, float]] = {}

    def report(self, gateway: object, models: Mapping[str, Use]) -> bool:
        """What a gateway says now; whether anybody asks for something."""
        now = self._clock()
        self._said[gateway] = models
        for name, use in models.items():
            if use.active or use.waiting or use.asked:
                self._last[name] = now
            elif use.quiet is not None:
                self._last[name] = max(now - use.quiet, self._last.get(name, now - use.quiet))
            if use.asked:
                self._asked[name] = now
        return any(use.asked or use.waiting for use in models.values())

    def ended(self, gateway: object) -> None:
        """A gateway is gone, with all its requests."""
        self._said.pop(gateway, None)

    def of(self, model: str) -> Used:
        """What is known of one model."""
        uses = [models[model] for models in self._said.values() if model in models]
        waiting = sum(use.waiting for use in uses)
        requests = waiting + sum(use.active for use in uses)
        return Used(requests > 0, requests, waiting, self._last.get(model), self._asked.get(model))
