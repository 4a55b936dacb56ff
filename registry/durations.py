"""Durations as people write them: `500ms`, `2s`, `15m`, `1h`, `off`. Used by `registry.spec`."""

from __future__ import annotations

import re
from typing import Final

_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_SPELLING: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m|h)", re.ASCII)
_LONGEST: Final = 30 * 24 * 3600.0
"""Seconds. Event loops refuse timers much longer than this, and nobody means one."""


def parse(value: object) -> float | None:
    """Seconds in `value`: text with a unit, or a number of seconds; None for `off`.

    Raises ValueError with the rule that was broken; the message never repeats the value.
    """
    if value == "off":
        return None
    return bounded(value, "must be a duration such as 2s, 500ms, 15m, 1h, a number of seconds, or off")


def bounded(value: object, rule: str = "must be a duration such as 2s, 500ms, 15m, 1h (it cannot be off)") -> float:
    """Seconds in `value`, which cannot be `off`. Raises ValueError as `parse` does."""
    seconds = _seconds(value)
    if seconds is None:
        raise ValueError(rule)
    if not 0 < seconds <= _LONGEST:
        raise ValueError("must be longer than 0 and at most 30 days (720h)")
    return seconds


def _seconds(value: object) -> float | None:
    if isinstance(value, str):
        match = _SPELLING.fullmatch(value)
        return float(match[1]) * _SECONDS[match[2]] if match else None
    if isinstance(value, int | float) and not isinstance(value, bool):
        # Compared before conversion: an integer may be too large for a float.
        return float(value) if -1 <= value <= _LONGEST + 1 else -1.0
    return None
