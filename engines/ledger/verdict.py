"""When a split between revisions ends by itself: the rule that its author stated. Pure; asked by `judging`."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from registry.adapter_orders import Seen
from registry.adapters import DIGITS, Canary

_REMEMBERED: Final = 512
"""First tokens whose median is looked at: the last ones."""


@dataclass(slots=True)
class Performance:
    """One revision's requests since the split began."""

    requests: int = 0
    errors: int = 0
    first_tokens: deque[float] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    """Seconds."""

    def add(self, seen: Seen) -> None:
        """What one gateway has seen since it last said something."""
        self.requests += seen.requests
        self.errors += seen.errors
        self.first_tokens.extend(seen.first_tokens)


def verdict(canary: Canary, current: str, figures: Mapping[str, Performance]) -> str:
    """Why the split ends; empty: it goes on. `figures` by digest, `current` is what the name goes back to."""
    own = figures.get(current, Performance())
    for share in canary.split:
        seen = figures.get(share.digest)
        if share.digest == current or seen is None or seen.requests < canary.min_requests:
            continue
        if seen.errors > canary.max_error_rate * seen.requests:
            return f"{seen.errors} of {seen.requests} requests failed on {share.digest[:DIGITS]}"
        if why := _slow(canary, own, seen):
            return f"{share.digest[:DIGITS]} {why}"
    return ""


def _slow(canary: Canary, own: Performance, seen: Performance) -> str:
    most, least = canary.max_ttft_ratio, max(1, canary.min_requests)
    if most is None or min(len(own.first_tokens), len(seen.first_tokens)) < min(least, _REMEMBERED):
        return ""
    usual, slow = median(own.first_tokens), median(seen.first_tokens)
    if slow <= most * usual:
        return ""
    return f"takes {slow:.3f} s to its first token in the median, the present revision {usual:.3f} s"
