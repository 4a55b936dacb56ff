"""When the registry file is worth reading again: a look at what its path leads to, again and again. Run by `main`.

Looks, and not the kernel's notices: they see alike what editors do (write a new file, rename it over the old one), what
Kubernetes does (swap a symbolic link some folders up), single files mounted into containers, and network shares.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

_PATIENCE: Final = 4
"""Looks for which a file may be missing: between an editor's rename and its write there may be none."""

Look = tuple[int, ...] | None
"""What tells one state of a file from another; None: there is none."""


def look(path: Path) -> Look:
    """At what `path` leads to now, through all links."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


class Watch:
    """Invariant: a state of the file is reported once, and only after it was seen twice: it is not being written."""

    def __init__(self) -> None:
        self._reported: Look | str = "nothing yet"
        self._last: Look | str = self._reported
        self._seen = 0

    def changed(self, look: Look) -> bool:
        """Whether the file, looking like this now, shall be read."""
        self._seen = self._seen + 1 if look == self._last else 1
        self._last = look
        if look == self._reported or self._seen < (_PATIENCE if look is None else 2):
            return False
        self._reported = look
        return True


async def watch(path: Path, changed: Callable[[], None], every: float) -> None:
    """Calls `changed` whenever the file at `path` is another one and has settled; until cancelled. `every`: seconds."""
    watching = Watch()
    watching.changed(look(path))
    while True:
        await asyncio.sleep(every)
        if watching.changed(look(path)):
            changed()
