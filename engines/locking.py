"""One process at a time: advisory locks on files of the cache. Called by `environments` and `weights`.

The kernel frees a lock with the process that holds it, however it dies, so there is nothing to clean up.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

_POLL: Final = 0.2
"""Seconds between two tries for a lock that another process holds."""


@asynccontextmanager
async def locked(path: Path, waiting: Callable[[], None]) -> AsyncIterator[None]:
    """Holds the lock file at `path`; calls `waiting` once if another process has it. Raises `OSError`."""
    descriptor = _try(path)
    if descriptor is None:
        waiting()
    while descriptor is None:
        await asyncio.sleep(_POLL)
        descriptor = _try(path)
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def unless_taken(path: Path) -> Iterator[bool]:
    """Holds the lock file at `path` if nobody does, and says whether; a file that does not exist is nobody's."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        yield True
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        ours = True
    except BlockingIOError:
        ours = False
    try:
        yield ours
    finally:
        os.close(descriptor)


def _try(path: Path) -> int | None:
    """The descriptor that holds the lock; None if somebody else does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The cache may have been deleted meanwhile: a lock on a file that has no name any more excludes nobody.
        if os.fstat(descriptor).st_ino == path.stat().st_ino:
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None
