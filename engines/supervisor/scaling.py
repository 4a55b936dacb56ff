"""How many workers a model has whose number follows its requests. Pure. Asked by `attendance`, which acts.

Times are seconds of one monotonic clock; requests are those at work and those that wait, over all gateways. Starting a
worker costs, so one that was started stays for a multiple of the time that this takes: a number of workers that goes up
and down again does so at most once in load time x (1 + idle), whatever is asked for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

from engines.thrift import Thrift

_NEARLY: Final = 0.05
"""Of a worker: what an average that falls towards a whole number may still be above it."""


@dataclass(frozen=True, slots=True)
class Strength:
    """A pool, as it stands."""

    least: int
    """Workers that it has at least while it is loaded."""
    most: int
    size: int
    """How many there shall be now."""
    ready: int
    """How many of them serve."""
    target: float
    """Requests that each of them is to have."""
    idle_after: float
    load_time: float
    """Seconds that starting one takes."""


@dataclass(frozen=True, slots=True)
class Trend:
    """What was seen of a pool so far. Invariant: at most one of `pressed` and `roomy` is set."""

    at: float
    load: float
    """Requests, averaged over a few seconds."""
    size: int
    grown: float
    """When there last were to be more workers."""
    pressed: float | None = None
    """Since when more would be needed."""
    roomy: float | None = None
    """Since when fewer would do."""
    peak: int = 0
    """How many would have done since then."""


def observe(before: Trend | None, strength: Strength, requests: int, now: float, thrift: Thrift) -> Trend:
    """The trend with one more look."""
    trend = before or Trend(now, float(requests), strength.size, now)
    kept = math.exp(-(now - trend.at) / thrift.smooth)
    trend = replace(trend, at=now, load=requests + (trend.load - requests) * kept)
    if strength.size != trend.size:
        grown = now if strength.size > trend.size else trend.grown
        trend = replace(trend, size=strength.size, grown=grown, pressed=None, roomy=None)
    needed = _needed(trend.load, strength)
    if needed > strength.size:
        return replace(trend, pressed=now if trend.pressed is None else trend.pressed, roomy=None)
    if needed < strength.size:
        begun = trend.roomy is None
        peak = needed if begun else max(trend.peak, needed)
        return replace(trend, pressed=None, roomy=now if begun else trend.roomy, peak=peak)
    return replace(trend, pressed=None, roomy=None)


def decide(trend: Trend, strength: Strength, thrift: Thrift) -> int:
    """How many workers there shall be from now on."""
    now, since_grown = trend.at, trend.at - trend.grown
    if trend.pressed is not None and now - trend.pressed >= thrift.pressed:
        # Those that come will help; one that does not come at all holds up nobody for ever.
        coming = strength.ready < strength.size and since_grown < thrift.overdue * strength.load_time
        return strength.size if coming else _needed(trend.load, strength)
    settled = since_grown >= (1 + thrift.idle) * strength.load_time
    if trend.roomy is not None and now - trend.roomy >= strength.idle_after and settled:
        return trend.peak
    return strength.size


def _needed(load: float, strength: Strength) -> int:
    return max(strength.least, min(math.ceil(load / strength.target - _NEARLY), strength.most))
