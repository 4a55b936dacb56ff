"""Makes the cache of weights fit a limit: the least recently used goes first, what is in use never.

Called by `prepare` ($ENGINEHOUSE_CACHE_LIMIT) and by `enginehouse pull --prune`. Environments are not counted.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engines.locking import unless_taken
from engines.weights.uses import KINDS, use_of
from engines.weights.verify import size_of

_PARTIAL: Final = "partial"
_GONE: Final = ".pruned"
"""What is being removed: it has no name that anybody looks for."""
_ASIDE: Final = (".lock", ".use", ".tmp", _GONE)
_WORK: Final = "incoming"
_SIZE: Final = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?) ?([KMGT]?)B?", re.IGNORECASE)
_UNITS: Final = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that can be made or fetched again. `used`: Unix time."""

    path: Path
    octets: int
    used: float


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was removed, and what is left; bytes."""

    removed: tuple[Entry, ...]
    left: int
    in_use: int
    """Entries that would have gone, and are in use."""


def octets_in(text: str) -> int:
    """A size as people write it: 200GB, 1.5 TB, 500M, in powers of ten as disks are sold. Raises `ValueError`."""
    found = _SIZE.fullmatch(text.strip())
    if not found:
        raise ValueError(f"{text!r} is not a size: write for example 200GB or 1.5TB")
    return int(float(found[1]) * _UNITS[found[2].upper()])


def prune(root: Path, limit: int) -> Pruned:
    """Bring the weights below `root` to at most `limit` bytes, as far as what is in use allows."""
    for left in root.glob(f"*/*{_GONE}"):
        shutil.rmtree(left, ignore_errors=True)
    entries = sorted(_entries(root), key=lambda entry: entry.used)
    total = sum(entry.octets for entry in entries)
    removed, in_use = [], 0
    for entry in entries:
        if total <= limit:
            break
        if _remove(entry.path):
            removed.append(entry)
            total -= entry.octets
        else:
            in_use += 1
    return Pruned(tuple(removed), total, in_use)


def _entries(root: Path) -> Iterator[Entry]:
    for kind in (*KINDS, _PARTIAL):
        for path in (root / kind).glob("*"):
            if not path.is_dir() or path.name == _WORK or path.suffix in _ASIDE:
                continue
            mark = use_of(path) if use_of(path).exists() else path
            yield Entry(path, size_of(path), mark.stat().st_mtime)


def _remove(path: Path) -> bool:
    with _alone(path) as alone:
        if alone:
            gone = path.with_name(f"{path.name}{_GONE}")
            shutil.rmtree(gone, ignore_errors=True)
            path.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)
        return alone


@contextmanager
def _alone(path: Path) -> Iterator[bool]:
    """Holds off everybody who would begin to use `path`, if nobody does."""
    if path.parent.name == _PARTIAL:
        with unless_taken(path.with_name(f"{path.name}.lock")) as ours:
            yield ours
        return
    descriptor = os.open(use_of(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        free = True
    except BlockingIOError:
        free = False
    try:
        yield free
    finally:
        os.close(descriptor)
