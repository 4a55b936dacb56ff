"""Which adapters the state folder's store has, for verbs that work without a supervisor. Used by `check`.

A house that runs is not held up, and nothing of its store is changed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping
from pathlib import Path

from engines.store.adapters import AdapterStore


def stored(state: Path) -> Mapping[str, Collection[str]]:
    """By model, the adapters that stand for something. Raises `StoreFailed`."""
    root = state / "adapters"
    if not (root / "store.sqlite").exists():
        return {}
    revisions = asyncio.run(AdapterStore(root, time.time).revisions())  # noqa: TID251 (one read, in a thread)
    found: dict[str, list[str]] = {}
    for each in revisions:
        if each.current:
            found.setdefault(each.model, []).append(each.adapter)
    return found
