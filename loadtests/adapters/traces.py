"""Who asks for which adapter, and when: seeded traces, the usual ones and those that are meant to hurt. Pure."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import accumulate, cycle
from typing import Final


@dataclass(frozen=True, slots=True)
class Ask:
    """One request: when it comes, for which adapter, and the seconds that its answer takes."""

    at: float
    adapter: str
    takes: float


@dataclass(frozen=True, slots=True)
class Shape:
    """How much of everything."""

    adapters: int = 12
    requests: int = 600
    rate: float = 4.0
    """Requests per second, in the mean."""
    takes: float = 0.6
    """Mean seconds of an answer, at most ten times as long."""
    skew: float = 1.0
    """Zipf's exponent."""


Trace = tuple[Ask, ...]


def names(count: int) -> tuple[str, ...]:
    """What the adapters are called, the hottest first."""
    return tuple(f"a{number:03d}" for number in range(count))


def zipf(shape: Shape, seed: int) -> Trace:
    """Poisson arrivals, popularity by rank: what multi-tenant traces look like (S-LoRA, dLoRA)."""
    return _poisson(shape, seed, lambda source, _: _ranked(source, shape, 0))


def scan(shape: Shape, seed: int) -> Trace:
    """Each adapter once, in turn: least recently used always evicts the one that is wanted next."""
    known = names(shape.adapters)
    return _poisson(shape, seed, lambda _, number: known[number % shape.adapters])


def scanned(shape: Shape, seed: int) -> Trace:
    """Half of the requests for two hot ones, through which a scan over all others runs."""
    hot, rest = names(shape.adapters)[:2], cycle(names(shape.adapters)[2:])
    return _poisson(shape, seed, lambda source, _: source.choice(hot) if source.random() < 0.5 else next(rest))


def bursts(shape: Shape, seed: int) -> Trace:
    """Eight at once for one adapter, then the next eight: batch jobs."""
    source, at = random.Random(seed), 0.0
    found: list[Ask] = []
    while len(found) < shape.requests:
        at += source.expovariate(shape.rate / 8)
        adapter = _ranked(source, shape, 0)
        found += [Ask(at + number * 0.01, adapter, _takes(source, shape)) for number in range(8)]
    return tuple(sorted(found[: shape.requests], key=lambda ask: ask.at))


def shift(shape: Shape, seed: int) -> Trace:
    """Other adapters are hot in each quarter: what was counted before is of no use."""
    quarter = -(-shape.requests // 4)
    return _poisson(
        shape, seed, lambda source, number: _ranked(source, shape, number // quarter * (shape.adapters // 4))
    )


def greedy(shape: Shape, seed: int) -> Trace:
    """Long answers of four hot ones, that overlap; now and then somebody asks for another."""
    return _greedy(shape, seed, 2)


def greedier(shape: Shape, seed: int) -> Trace:
    """The same with answers twice as long again: more than the workers can do."""
    return _greedy(shape, seed, 4)


TRACES: Final[Mapping[str, Callable[[Shape, int], Trace]]] = {
    "zipf": zipf,
    "scan": scan,
    "hot and scan": scanned,
    "bursts": bursts,
    "hot shift": shift,
    "greedy": greedy,
    "greedier": greedier,
}


def _greedy(shape: Shape, seed: int, longer: int) -> Trace:
    hot, rest = names(shape.adapters)[:4], cycle(names(shape.adapters)[4:])
    stretched = replace(shape, takes=longer * shape.takes)
    return _poisson(stretched, seed, lambda source, _: source.choice(hot) if source.random() < 0.95 else next(rest))


def _poisson(shape: Shape, seed: int, choose: Callable[[random.Random, int], str]) -> Trace:
    source, at, found = random.Random(seed), 0.0, []
    for number in range(shape.requests):
        at += source.expovariate(shape.rate)
        found.append(Ask(at, choose(source, number), _takes(source, shape)))
    return tuple(found)


def _ranked(source: random.Random, shape: Shape, turned: int) -> str:
    known = names(shape.adapters)
    weights = list(accumulate((rank + 1) ** -shape.skew for rank in range(shape.adapters)))
    rank = source.choices(range(shape.adapters), cum_weights=weights)[0]
    return known[(rank + turned) % shape.adapters]


def _takes(source: random.Random, shape: Shape) -> float:
    return min(source.expovariate(1 / shape.takes), 10 * shape.takes)
