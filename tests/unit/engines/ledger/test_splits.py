"""Which names stand for several revisions, on the disk and in memory."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from engines.ledger.splits import Splits
from registry.adapters import Canary, Share

CANARY = Canary((Share("a" * 64, 1), Share("b" * 64, 1)))


def test_splits_that_are_set_at_once_are_all_kept(tmp_path: Path) -> None:
    """Orders about different adapters run side by side, each in a thread of its own."""
    splits, together = Splits(tmp_path / "splits.json"), threading.Barrier(16)

    def put(number: int) -> None:
        together.wait(timeout=60)
        splits.put("m", f"a{number}", CANARY)

    with ThreadPoolExecutor(16) as threads:
        tuple(threads.map(put, range(16)))
    again = Splits(tmp_path / "splits.json")
    again.open()
    for kept in (splits, again):
        assert all(kept.of("m", f"a{number}") == CANARY for number in range(16))
