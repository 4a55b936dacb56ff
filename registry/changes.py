"""What must happen to get from one registry to the next: a pure comparison. `reconcile` does what it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from registry.spec import ModelSpec, Registry

EMPTY: Final = Registry(models={})
"""No models: what there is before the first file is read."""

_PUBLIC: Final = frozenset({"aliases", "timeouts", "queue", "balance", "allow", "token", "strategy", "parity"})
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


class Verb(StrEnum):
    """What happens to a model, in one word."""

    START = "start"
    SWAP = "swap"
    AMEND = "amend"
    RETIRE = "retire"


class Step(NamedTuple):
    """What happens to one model, for people and programs."""

    verb: Verb
    model: str

    def __str__(self) -> str:
        return f"{self.verb} {self.model}"


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
    kept = _PUBLIC | ({"replicas"} if (before.least, before.most) == (after.least, after.most) else set())
    return before.model_copy(update={field: getattr(after, field) for field in kept}) == after


def steps(found: Sequence[Change]) -> tuple[Step, ...]:
    """The changes by model, in their order: one that is started and retired is swapped."""
    retired = {change.name: Step(Verb.RETIRE, change.name) for change in found if isinstance(change, RetirePool)}
    amended = {change.name: Step(Verb.AMEND, change.name) for change in found if isinstance(change, AmendPool)}
    begun = {
        change.name: Step(Verb.SWAP if change.name in retired else Verb.START, change.name)
        for change in found
        if isinstance(change, StartPool)
    }
    order = dict.fromkeys(change.name for change in found)
    said = retired | amended | begun
    return tuple(said[name] for name in order)
