"""Files that are replaced as a whole: a reader finds the old content or the new one, never a part of either.

Called by whatever keeps a note between two runs, in the state folder or in the cache. Folders are published by
`store.files` and `weights.cache`, by one rename too.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path


def write(path: Path, octets: bytes, *, durable: bool) -> None:
    """Has `octets` be what the file at `path` holds. Raises `OSError`, and then it holds what it held.

    `durable`: it survives a loss of power as soon as this returns, for what was promised to somebody. Without that such
    a loss may take it, for guesses that can be made again: the disk is not waited for. Several threads or processes may
    write at once: the last one counts. The mode is that of any new file (the umask's), as nothing is written in place.
    """
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with fresh.open("xb") as file:
            file.write(octets)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        with contextlib.suppress(OSError):  # normally it has its final name by now
            fresh.unlink()
    if durable:
        with contextlib.suppress(OSError):  # it is written: a file system that cannot sync a folder says so too late
            synced(path.parent)


def synced(path: Path) -> None:
    """Have what was written to a file or folder on the disk. Raises `OSError`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
