"""Tells an engine that hangs from one that takes long, by the engine's own counters. Pure.

Called by `worker` on every round of probes: a server's `/health` says nothing about whether tokens are made. An engine
hangs when it has requests in work and none of its counters moves for twice the model's limit between two tokens. A
long prompt moves what the engine tells of its cache, chunk by chunk; only one chunk that takes longer than that
looks like a hang.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

from engines.engine import MetricNames

_PATIENCE: Final = 2.0
"""Limits between two tokens (FAULTS)."""
_CHANCES: Final = 3
"""Tokens that a worker which calls itself healthy may fail to make."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of a worker's `/metrics`."""

    running: float
    """Requests in work."""
    marks: tuple[float, ...]
    """What moves while the engine works."""


@dataclass(frozen=True, slots=True)
class Stall:
    """How long nothing has moved. Invariant: `lasted` is 0 where nothing is to be done."""

    marks: tuple[float, ...] | None = None
    at: float = 0.0
    """When it was last looked at, in seconds of the caller's clock."""
    lasted: float = 0.0
    """Seconds."""


@dataclass(frozen=True, slots=True)
class Mute:
    """How long a worker that starts has been healthy without making the token that it is asked for."""

    since: float | None = None
    times: int = 0
    reason: str = ""

    def refused(self, now: float, reason: str) -> Mute:
        """It was asked once more, in vain."""
        return Mute(now if self.since is None else self.since, self.times + 1, reason)

    def hopeless(self, now: float, within: float) -> bool:
        """Whether it has had its chances, and so many seconds."""
        return self.since is not None and self.times >= _CHANCES and now - self.since > within


def reading(text: str, names: MetricNames) -> Reading | None:
    """What Prometheus' text form says, each name summed over its series. None: the engine does not tell."""
    marking = (names.prompt_tokens, names.generation_tokens, *names.progress)
    found: dict[str, float] = dict.fromkeys((names.running, *marking), 0.0)
    seen = set()
    for line in text.splitlines():
        name = line.partition("{")[0].partition(" ")[0]
        if name in found:
            found[name] += _number(line)
            seen.add(name)
    if not {names.running, names.prompt_tokens, names.generation_tokens} <= seen:
        return None
    return Reading(found[names.running], tuple(found[name] for name in marking))


def observe(before: Stall, seen: Reading | None, now: float, *, longest_step: float) -> Stall:
    """The stall after another look. `seen` None: nothing was learnt, so no stall ends, and none grows by that time.

    A look that is late counts for `longest_step` seconds at most: if the whole machine stood still, so did the engine.
    """
    if seen is None:
        return replace(before, at=now)
    if seen.running <= 0:
        return Stall()
    if seen.marks != before.marks:
        return Stall(seen.marks, now)
    return Stall(seen.marks, now, before.lasted + min(now - before.at, longest_step))


def patience(idle: float | None) -> float | None:
    """How long a stall may last where clients wait `idle` seconds for the next token. None: for ever."""
    return None if idle is None else _PATIENCE * idle


def _number(line: str) -> float:
    """0 for what is no number: NaN would differ from itself, and so pass for movement."""
    try:
        number = float(line.rpartition(" ")[2])
    except ValueError:
        return 0.0
    return number if math.isfinite(number) else 0.0
