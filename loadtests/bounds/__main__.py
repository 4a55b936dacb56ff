"""`make bench-bounds`, or `python -m loadtests.bounds [--size BYTES] [--times N] [--most ROWS]`.

What `gateway.api.body.decode` takes of a core, in milliseconds, for each of the corpus's bodies in each kind of field:
the dearest first, then those that have to pass. The least of several runs, on a machine that should do nothing else.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

from gateway.api.body import decode
from gateway.errors import InvalidRequest
from loadtests.bounds.corpus import FIELDS, HONEST, HOSTILE, body


class Row(NamedTuple):
    """One body: its cost, which it is, and what became of it."""

    milliseconds: float
    name: str
    field: str
    outcome: str


def main(argv: list[str] | None = None) -> int:
    """Measure and print; 0 unless an honest body is refused."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=4 * 1024 * 1024 - 64)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--most", type=int, default=25, help="rows of hostile bodies")
    options = parser.parse_args(argv)
    hostile = sorted(_hostile(options.size, options.times), reverse=True)
    honest = [
        measured(name, field, body(field, value(options.size)), options.times)
        for name, (field, value) in HONEST.items()
    ]
    for row in [*hostile[: options.most], *honest]:
        print(f"{row.milliseconds:7.1f} ms  {row.name:40} {row.field:16} {row.outcome}")
    print(f"{len(hostile)} hostile bodies of {options.size} bytes, the dearest {hostile[0].milliseconds:.1f} ms")
    return int(any(row.outcome != "passes" for row in honest))


def _hostile(size: int, times: int) -> Iterator[Row]:
    for name, value in HOSTILE.items():
        made = value(size)
        for field in FIELDS:
            yield measured(name, field, body(field, made), times)


def measured(name: str, field: str, text: bytes, times: int) -> Row:
    """The least of so many runs."""
    outcome, least = "", float("inf")
    for _ in range(times):
        begun = time.process_time()
        outcome = _outcome(text)
        least = min(least, time.process_time() - begun)
    return Row(least * 1000, name, field, outcome)


def _outcome(text: bytes) -> str:
    try:
        decode(text)
    except InvalidRequest as refusal:
        return str(refusal)[:60]
    return "passes"


if __name__ == "__main__":
    sys.exit(main())
