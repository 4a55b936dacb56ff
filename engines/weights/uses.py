"""What of the cache is in use: shared locks on `<entry>.use`, which the kernel frees with the process that holds them.

Taken by `prepare` for what it reads and returns; `prune` removes only what nobody uses. The lock file's time is that
of the last use.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

KINDS: Final = ("files", "folders", "checkpoints")
"""Folders of the cache whose uses are noted here; `partial` has locks of its own."""
_USE: Final = ".use"


def entry_of(root: Path, path: Path) -> Path | None:
    """The entry of the cache at `root` that `path` belongs to; None for what lies elsewhere."""
    top, full = root.absolute(), path.absolute()
    inside = full.relative_to(top).parts if full.is_relative_to(top) else ()
    return top / inside[0] / inside[1] if len(inside) > 1 and inside[0] in KINDS else None


def use_of(entry: Path) -> Path:
    """The lock file of an entry."""
    return entry.with_name(entry.name + _USE)


class Uses:
    """Invariant: what was taken here is removed by no process of this machine until this is closed."""

    def __init__(self, root: Path) -> None:
        self._root: Final = root
        self._held: Final[set[Path]] = set()
        self._open: Final = ExitStack()

    def take(self, path: Path) -> bool:
        """False if `path` was in the cache and is not any more; else it stays. Raises `OSError`."""
        entry = entry_of(self._root, path)
        if entry is not None and entry not in self._held:
            descriptor = os.open(use_of(entry), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            self._open.callback(os.close, descriptor)
            # Waits only as long as it takes to remove one entry.
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            os.utime(descriptor)
            self._held.add(entry)
        return entry is None or path.exists()

    def close(self) -> None:
        """Let go of everything."""
        self._open.close()
        self._held.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self.close()
