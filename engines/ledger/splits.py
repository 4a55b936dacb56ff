"""Which names stand for several revisions now, kept over restarts.

Read through `stock`, which has them. Written by `splitting` and `adding` for orders here, by `store.shared` for
those of other hosts.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from engines import atomic
from registry.adapters import Canary


class Splits:
    """Invariant: what `of` says is on the disk."""

    def __init__(self, place: Path) -> None:
        self._place: Final = place
        self._known: dict[str, Canary] = {}
        self._writing: Final = threading.Lock()

    def open(self) -> None:
        """Reads them. A file that is damaged ends all splits: names then mean what they are promoted to."""
        try:
            self._known = msgspec.json.decode(self._place.read_bytes(), type=dict[str, Canary])
        except (OSError, msgspec.DecodeError):
            self._known = {}

    def of(self, model: str, adapter: str) -> Canary | None:
        """None: the name stands for one revision."""
        return self._known.get(f"{model}:{adapter}")

    def digests(self) -> set[str]:
        """Of all revisions that some split names, the ones that are only compared too."""
        found = {share.digest for each in self._known.values() for share in each.split}
        return found | {each.shadow.digest for each in self._known.values() if each.shadow}

    def put(self, model: str, adapter: str, canary: Canary | None) -> None:
        """From now on. Raises `OSError`, and nothing has changed."""
        with self._writing:
            self._put(f"{model}:{adapter}", canary)

    def _put(self, name: str, canary: Canary | None) -> None:
        known: Mapping[str, Canary] = {k: v for k, v in self._known.items() if k != name}
        known = known if canary is None else {**known, name: canary}
        if known == self._known:
            return
        atomic.write(self._place, msgspec.json.encode(known), durable=True)
        self._known = dict(known)
