"""What adapters cost that are registered and not asked for: per request, and per snapshot. Used by `__main__`."""

from __future__ import annotations

from collections.abc import Callable
from timeit import Timer
from typing import Final

import msgspec

from registry.adapters import AdapterView, encode, served_as
from registry.snapshot import ModelView, Names, Snapshot, WorkerState, WorkerView, decode
from registry.snapshot import encode as sent

COUNTS: Final = (0, 10, 10_000)
_DIGEST: Final = "0123456789abcdef" * 4


def registered() -> list[str]:
    """Markdown: microseconds of one look-up or one snapshot, the best of five, by the number of adapters."""
    head = [
        "registered",
        "model's name",
        "adapter's name",
        "its revision",
        "unknown",
        "worker changes",
        "adapter changes",
    ]
    return ["| " + " | ".join(head) + " |", "|---" * len(head) + "|", *(_line(count) for count in COUNTS)]


def _line(count: int) -> str:
    line, asked = sent(_snapshot(count)), f"m:a{count // 2}"
    names = Names(decode(line))
    looks = [
        lambda: names.resolve("m"),
        lambda: names.resolve(asked),
        lambda: names.resolve(f"{asked}@{_DIGEST[:16]}"),
        lambda: names.resolve("m:nobody"),
    ]
    figures = [f"{_seconds(look) * 1e6:.2f} µs" for look in looks]
    figures += [
        f"{_seconds(each) * 1e3:.2f} ms" for each in (lambda: Names(decode(line), names), lambda: Names(decode(line)))
    ]
    return f"| {count:,} | " + " | ".join(figures) + " |"


def _snapshot(count: int) -> Snapshot:
    held = served_as("m", "a0", _DIGEST)
    workers = tuple(WorkerView(f"m.{n}", f"http://h:{n}", WorkerState.READY, resident=(held,)) for n in range(2))
    known = [AdapterView("m", f"a{number}", _DIGEST, (_DIGEST,), 1) for number in range(count)]
    return Snapshot(
        1, (ModelView("m", "vllm", "m", workers=workers, adapter_slots=2),), adapters=msgspec.Raw(encode(known))
    )


def _seconds(what: Callable[[], object]) -> float:
    timer = Timer(what)
    number, _ = timer.autorange()
    return min(timer.repeat(5, number)) / number
