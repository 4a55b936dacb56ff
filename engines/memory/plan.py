"""Whether workers fit, with how much KV cache, and if not, what would. Pure. Called by `budget` and the supervisor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from engines.memory.checkpoint import Facts
from engines.memory.devices import assigned
from engines.memory.estimate import BLOCK, Estimate, Wish, estimate, for_context
from engines.memory.habits import GIB

_MIB: Final = 1024**2
_SHARE_OF_CACHE: Final = 4
"""A model's KV caches take at most this part of the machine, unless one request needs more."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a worker that was let in will still take: of the machine, or of each of these GPUs (positions)."""

    octets: int
    gpus: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """Where workers are to go."""

    room: int
    """Bytes for all workers of the model: of the machine, or of all its GPUs together."""
    whole: int
    """Bytes of the machine, or of one GPU."""
    gpus: tuple[int, ...] = ()
    """What is free on each of them."""

    def without(self, claims: Iterable[Claim]) -> Place:
        """The same once somebody has taken what was promised to him."""
        room, gpus = self.room, list(self.gpus)
        for claim in claims:
            room -= claim.octets * max(1, len(claim.gpus))
            for gpu in claim.gpus:
                gpus[gpu] -= claim.octets
        return Place(room, self.whole, tuple(gpus))


@dataclass(frozen=True, slots=True)
class Plan:
    """One model's workers, as predicted. `reason` is empty where they fit."""

    estimate: Estimate
    wish: Wish
    reason: str = ""
    notes: tuple[str, ...] = ()
    gpus: tuple[tuple[int, ...], ...] = ()
    """Which ones each worker gets, as positions in its place's list; empty on CPU."""

    def claim(self, seat: int) -> Claim:
        """What the worker in `seat` will take."""
        if not self.gpus:
            return Claim(self.estimate.total * self.wish.parallel)
        return Claim(self.estimate.total, self.gpus[seat % len(self.gpus)])

    def of(self, position: int) -> Plan:
        """The same for one of its workers alone."""
        gpus = (self.gpus[position % len(self.gpus)],) if self.gpus else ()
        return replace(self, wish=replace(self.wish, replicas=1), gpus=gpus)

    def given_back(self) -> tuple[Claim, ...]:
        """What is free again once all its workers have ended: claims on less than nothing."""
        claims = (self.claim(seat) for seat in range(self.wish.replicas))
        return tuple(Claim(-claim.octets, claim.gpus) for claim in claims)

    def asleep(self) -> Plan:
        """What is left of it while its worker sleeps: a device gets weights and cache back, the machine nothing."""
        if self.wish.device == "cpu":
            return self
        return replace(self, estimate=replace(self.estimate, weights=0, cache=0, tokens=0))

    @property
    def fits(self) -> bool:
        return not self.reason

    @property
    def total(self) -> int:
        """Bytes of all workers, on all devices."""
        return self.estimate.total * self.wish.replicas * self.wish.parallel


def plan(facts: Facts, wish: Wish, place: Place, overhead: int) -> Plan:
    """The workers that `wish` asks for, in `place`."""
    least = estimate(facts, wish, _least(facts, wish), overhead)
    cache = _cache(facts, wish, place, least.rest)
    if cache is not None:
        gpus = _gpus(wish, place) or ()
        return Plan(estimate(facts, wish, cache, overhead), wish, notes=facts.architecture.notes, gpus=gpus)
    instead = " or ".join(_instead(facts, wish, place, overhead))
    offer = f"it would fit with {instead}" if instead else "no smaller context, slots or replicas would make it fit"
    return Plan(least, wish, f"{_shortage(least, wish, place)}; {offer}", facts.architecture.notes)


def smallest(facts: Facts, wish: Wish, overhead: int) -> int:
    """Bytes that all workers take with a cache for one request each."""
    return estimate(facts, wish, _least(facts, wish), overhead).total * wish.replicas


def missing(plan: Plan, place: Place) -> int:
    """Bytes that have to become free in `place` before the workers of `plan`, which does not fit, do."""
    wish = plan.wish
    if wish.device == "cpu":
        return max(1, plan.estimate.total * wish.replicas - place.room)
    taken = _share(wish, place)
    seats = sum(max(0, free) // taken for free in place.gpus)
    return max(1, (wish.replicas * wish.parallel - seats) * taken)


def size(octets: float) -> str:
    """Bytes for people."""
    return f"{octets / GIB:.1f} GiB" if octets >= GIB else f"{octets / _MIB:.0f} MiB"


def _least(facts: Facts, wish: Wish) -> int:
    return for_context(facts.architecture, wish) if wish.cache is None else wish.cache


def _cache(facts: Facts, wish: Wish, place: Place, rest: int) -> int | None:
    """Bytes of the KV cache of each worker; None: there is no room for one that is of use."""
    one = for_context(facts.architecture, wish)
    if wish.cache is not None and wish.cache < one:
        return None
    if wish.device != "cpu":
        return _on_gpus(wish, place, rest, one)
    left = place.room // wish.replicas - rest
    if wish.cache is not None:
        return wish.cache if wish.cache <= left else None
    limit = place.whole // _SHARE_OF_CACHE // wish.replicas
    usual = max(GIB, min(_gib(one * wish.sequences), limit // GIB * GIB), _gib(one))
    if usual <= left:
        return usual
    return left // _MIB * _MIB if _mib(one) <= left else None


def _on_gpus(wish: Wish, place: Place, rest: int, one: int) -> int | None:
    """GPU engines take their share of a device whole and make a cache of what is left of it."""
    if _gpus(wish, place) is None:
        return None
    taken = _share(wish, place)
    left = taken - rest if wish.cache is None else wish.cache
    return left if one <= left <= taken - rest else None


def _share(wish: Wish, place: Place) -> int:
    """Bytes of each GPU that a worker takes."""
    return int(place.whole * (wish.share or 1.0))


def _gpus(wish: Wish, place: Place) -> tuple[tuple[int, ...], ...] | None:
    """Those of each worker; None: there are not enough with room for its share."""
    return () if wish.device == "cpu" else assigned(place.gpus, _share(wish, place), wish.parallel, wish.replicas)


def _shortage(least: Estimate, wish: Wish, place: Place) -> str:
    """What is missing, in a sentence."""
    if wish.cache is not None and wish.cache < least.cache:
        return f"a KV cache of {size(wish.cache)} holds no request of {wish.context} tokens"
    count = f"{wish.replicas} workers need" if wish.replicas > 1 else "it needs"
    if wish.device == "cpu":
        needed = f"{count} at least {size(least.total * wish.replicas)}, and there are {size(place.room)}"
    else:
        share = f"{wish.share or 1:.2f} of {size(place.whole)}, of {wish.parallel} GPU{'s' * (wish.parallel > 1)} each"
        free = ", ".join(map(size, place.gpus))
        needed = f"{count} at least {size(least.total)} of a share of {share}, and the GPUs have {free}"
    return f"{needed} (weights {size(least.weights)}, one request's KV cache {size(least.cache)})"


def _instead(facts: Facts, wish: Wish, place: Place, overhead: int) -> Iterator[str]:
    """Single changes that would make it fit, each as the registry spells it."""

    def fits(changed: Wish) -> bool:
        rest = estimate(facts, changed, 0, overhead).rest
        return _cache(facts, changed, place, rest) is not None

    if context := _largest(wish.context, BLOCK, lambda count: fits(replace(wish, context=count))):
        yield f"context: {context}"
    if wish.slots and fits(replace(wish, slots=0)):
        yield f"adapters.slots: {_largest(wish.slots, 1, lambda count: fits(replace(wish, slots=count)))}"
    if replicas := _largest(wish.replicas, 1, lambda count: fits(replace(wish, replicas=count))):
        yield f"replicas: {replicas}"


def _largest(below: int, step: int, good: Callable[[int], bool]) -> int:
    """The largest multiple of `step` below `below` that is good, 0 if none is; what is good stays so downwards."""
    low, high = 0, (below - 1) // step
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if good(middle * step) else (low, middle - 1)
    return low * step


def _gib(octets: int) -> int:
    return -(-octets // GIB) * GIB


def _mib(octets: int) -> int:
    return -(-octets // _MIB) * _MIB
