"""What must happen to get from one registry to the next: a pure comparison. `reconcile` does what it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from registry.room import FREE
from registry.spec import ModelSpec, Registry

EMPTY: Final = Registry(models={})
"""No models: what there is before the first file is read."""

_PUBLIC: Final = frozenset({"aliases", "timeouts", "queue", "balance", "allow", "token", "strategy", "parity"})
"""A change of these asks nothing of a worker: gateways read them, or a fetch that is over."""


_COUNT: Final = frozenset({"replicas", "urls"})
"""A change of these has workers come or go, and leaves those alone that stay."""


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
class ResizePool:
    """Keep the workers; have some more, or let some of them go, and publish what else `spec` says."""

    name: str
    spec: ModelSpec
    how: str
    """From how many to how many, for people."""


@dataclass(frozen=True, slots=True)
class RetirePool:
    """Drain and stop the workers that `name` had under the old registry."""

    name: str


Change = StartPool | AmendPool | ResizePool | RetirePool


class Verb(StrEnum):
    """What happens to a model, in one word."""

    START = "start"
    SWAP = "swap"
    AMEND = "amend"
    RESIZE = "resize"
    RETIRE = "retire"


class Step(NamedTuple):
    """What happens to one model, for people and programs."""

    verb: Verb
    model: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.verb} {self.model}{f': {self.detail}' if self.detail else ''}"

    def shown(self) -> dict[str, str]:
        """For programs."""
        known = {"verb": str(self.verb), "model": self.model}
        return known | {"detail": self.detail} if self.detail else known


def changes(old: Registry, new: Registry) -> tuple[Change, ...]:
    """Starts and amendments in the order of `new`, then retirements in the order of `old`; nothing for what stays."""
    begun: list[Change] = []
    for name, spec in new.models.items():
        before = old.models.get(name)
        if before == spec:
            continue
        begun.append(_kept(name, before, spec) if before and same_workers(before, spec) else StartPool(name, spec))
    started = {change.name for change in begun if isinstance(change, StartPool)}
    ended = (RetirePool(name) for name in old.models if name not in new.models or name in started)
    return (*begun, *ended)


def same_workers(before: ModelSpec, after: ModelSpec) -> bool:
    """Whether workers of the one are as good as workers of the other, however many there shall be.

    Whether they can sleep is decided when they start.
    """
    if before.sleeps is not after.sleeps:
        return False
    kept = {field: getattr(after, field) for field in _PUBLIC | _COUNT}
    adapters = before.adapters.model_copy(update={field: getattr(after.adapters, field) for field in FREE})
    return before.model_copy(update={**kept, "adapters": adapters}) == after


def _kept(name: str, before: ModelSpec, after: ModelSpec) -> Change:
    if (before.least, before.most, before.urls) == (after.least, after.most, after.urls):
        return AmendPool(name, after)
    what = "replicas" if after.urls is None else "addresses"
    return ResizePool(name, after, f"{_size(before)} → {_size(after)} {what}, no restart")


def _size(spec: ModelSpec) -> str:
    if spec.urls is not None:
        return str(len(spec.urls))
    return str(spec.most) if spec.least == spec.most else f"{spec.least} to {spec.most}"


def steps(found: Sequence[Change]) -> tuple[Step, ...]:
    """The changes by model, in their order: one that is started and retired is swapped."""
    retired = {change.name: Step(Verb.RETIRE, change.name) for change in found if isinstance(change, RetirePool)}
    amended = {change.name: Step(Verb.AMEND, change.name) for change in found if isinstance(change, AmendPool)}
    resized = {
        change.name: Step(Verb.RESIZE, change.name, change.how) for change in found if isinstance(change, ResizePool)
    }
    begun = {
        change.name: Step(Verb.SWAP if change.name in retired else Verb.START, change.name)
        for change in found
        if isinstance(change, StartPool)
    }
    order = dict.fromkeys(change.name for change in found)
    said = retired | amended | resized | begun
    return tuple(said[name] for name in order)
