"""Several models on one machine: each is planned beside what the others need at least. Pure. Called by `check`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from engines.memory.calibration import Measure, learned
from engines.memory.checkpoint import Facts
from engines.memory.estimate import Wish
from engines.memory.plan import Place, Plan, plan, size, smallest
from engines.memory.wish import overhead


@dataclass(frozen=True, slots=True)
class Asked:
    """One model of a registry."""

    name: str
    facts: Facts
    wish: Wish
    comes_and_goes: bool = False
    """Whether it is loaded on demand: it need not fit beside its like, only beside those that always run."""


@dataclass(frozen=True, slots=True)
class Sum:
    """All models of one device against it. `reason` is empty where they fit."""

    device: str
    total: int
    room: int
    reason: str = ""


def share(asked: Sequence[Asked], place: Place, measures: Mapping[str, Measure]) -> tuple[tuple[Plan, ...], Sum]:
    """A plan for each model of one device, in the registry's order, and their sum.

    A model is planned with what the ones before it were given, and what the ones after it need at least, taken away;
    where those that fit alone do not fit together, the sum says so. Models on demand are planned each beside the rest.
    """
    always = [each for each in asked if not each.comes_and_goes]
    plans, total = _beside(always, place, measures)
    if not always and asked:
        total = replace(total, device=asked[0].wish.device)
    given = dict(zip((each.name for each in always), plans, strict=True))
    left = replace(place, room=place.room - total.total) if total.device == "cpu" else place
    for each in asked:
        if each.name not in given:
            (given[each.name],), _ = _beside([each], left, measures)
    return tuple(given[each.name] for each in asked), total


def _beside(asked: Sequence[Asked], place: Place, measures: Mapping[str, Measure]) -> tuple[tuple[Plan, ...], Sum]:
    """Those that run at the same time."""
    own = [learned(measures, each.name, each.wish, overhead(each.wish.engine, each.wish.device)) for each in asked]
    least = [smallest(each.facts, each.wish, extra) for each, extra in zip(asked, own, strict=True)]
    together = sum(least) <= place.room
    given: list[Plan] = []
    for index, (each, extra) in enumerate(zip(asked, own, strict=True)):
        others = sum(before.total for before in given) + sum(least[index + 1 :])
        # On GPUs shares are taken, whatever is needed: there each is planned by itself, and the sum judges.
        left = place.room - others if together and each.wish.device == "cpu" else place.room
        given.append(plan(each.facts, each.wish, replace(place, room=left), extra))
    return tuple(given), _sum(given, sum(least), place)


def _sum(given: Sequence[Plan], least: int, place: Place) -> Sum:
    total = sum(each.total for each in given)
    device = given[0].wish.device if given else "cpu"
    needed = least if device == "cpu" else total
    alone = sum(each.fits for each in given)
    if alone < 2 or needed <= place.room:
        return Sum(device, total, place.room)
    reason = f"together the models need at least {size(needed)}, and there are {size(place.room)}"
    return Sum(device, total, place.room, f"{reason}: serve fewer, or with fewer replicas")
