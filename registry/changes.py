"""What must happen to get from one registry to the next: a pure comparison. `reconcile` does what it says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from registry.spec import ModelSpec, Registry

EMPTY: Final = Registry(models={})
"""No models: what there is before the first file is read."""

_PUBLIC: Final = frozenset({"aliases", "timeouts", "queue", "balance", "allow", "token"})
"""A change of these asks nothing of a worker: gateways read them, or a fetch that is over."""


@dataclass(frozen=True, slots=True)
class StartPool:
    """Bring up the workers of `spec`; where the name has a pool already, beside it."""

    name: str
    spec: ModelSpec


@dataclass(frozen=True, slots=True)
class AmendPool:
    """Keep the workers; publish the new names and limits of `spec`."""

    name: str
    spec: ModelSpec


@dataclass(frozen=True, slots=True)
class RetirePool:
    """Drain and stop the workers that `name` had under the old registry."""

    name: str


Change = StartPool | AmendPool | RetirePool


def changes(old: Registry, new: Registry) -> tuple[Change, ...]:
    """Starts and amendments in the order of `new`, then retirements in the order of `old`; nothing for what stays."""
    begun: list[Change] = []
    for name, spec in new.models.items():
        before = old.models.get(name)
        if before == spec:
            continue
        begun.append(AmendPool(name, spec) if before and same_workers(before, spec) else StartPool(name, spec))
    started = {change.name for change in begun if isinstance(change, StartPool)}
    ended = (RetirePool(name) for name in old.models if name not in new.models or name in started)
    return (*begun, *ended)


def same_workers(before: ModelSpec, after: ModelSpec) -> bool:
    """Whether workers of the one are as good as workers of the other."""
    return before.model_copy(update={field: getattr(after, field) for field in _PUBLIC}) == after
