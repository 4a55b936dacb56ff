"""Files that are replaced as a whole: a reader finds the old content or the new one, never a part of either.

Called by whatever keeps a note between two runs, in the state folder or in the cache. Folders are published by
`store.files` and `weights.cache`, by one rename too.
"""

from __future__ import annotations

import contextlib
import glob
import os
import secrets
from pathlib import Path
from typing import Final

_OLD: Final = 3600.0
"""Seconds after which a draft that nobody has written to is nobody's."""


def write(path: Path, octets: bytes, *, durable: bool) -> None:
    """Has `octets` be what the file at `path` holds. Raises `OSError`, and then it holds what it held.

    `durable`: it survives a loss of power as soon as this returns, for what was promised to somebody. Without that such
    a loss may take it, for guesses that can be made again: the disk is not waited for. Several threads or processes may
    write at once: the last one counts. The mode is that of any new file (the umask's), as nothing is written in place.
    What a kill in the middle of it leaves, `.NAME.` and eight digits, a later write of that name takes away.
    """
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with fresh.open("xb") as file:
            file.write(octets)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        now = fresh.stat().st_mtime  # by the file system's clock, which may be another machine's
        fresh.replace(path)
    finally:
        with contextlib.suppress(OSError):  # normally it has its final name by now
            fresh.unlink()
    with contextlib.suppress(OSError):  # it is written; the next one sweeps too
        _sweep(path, now - _OLD)
    if durable:
        with contextlib.suppress(OSError):  # it is written: a file system that cannot sync a folder says so too late
            synced(path.parent)


def _sweep(path: Path, before: float) -> None:
    """Takes away drafts of `path` that were last written to before then: whoever writes one does not rest so long."""
    for draft in path.parent.glob(f".{glob.escape(path.name)}.{'[0-9a-f]' * 8}"):
        if draft.lstat().st_mtime < before:
            draft.unlink()


def synced(path: Path) -> None:
    """Have what was written to a file or folder on the disk. Raises `OSError`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
