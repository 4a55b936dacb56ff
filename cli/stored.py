"""Which adapters the state folder's store has, for verbs that work without a supervisor. Used by `check`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from pathlib import Path

from engines.store.adapters import AdapterStore


def stored(state: Path) -> Collection[tuple[str, str]]:
    """Adapters that a name stands for, each by its model and its own name. Raises `StoreFailed`."""
    root = state / "adapters"
    if not (root / "store.sqlite").exists():
        return ()
    revisions = asyncio.run(AdapterStore(root, time.time).revisions())  # noqa: TID251 (nothing is written)
    return {(each.model, each.adapter) for each in revisions if each.current}
