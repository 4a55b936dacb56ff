"""Says that a disk is full, or would be: what is needed, what is free, where, what to do. Called across `weights`."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from engines.weights.failures import NoSpace

_ADVICE: Final = (
    "Free some space (`enginehouse pull --prune SIZE` removes what was not used for longest), or point "
    "$ENGINEHOUSE_CACHE at another disk, and run it again"
)
_SAFE: Final = "nothing half-made is taken for whole"


def free_bytes(path: Path) -> int:
    """What the file system of `path` has left for this user. Raises `OSError` where there is no such path."""
    return shutil.disk_usage(path).free


def too_much(doing: str, place: Path, needed: int, free: int) -> NoSpace:
    """`doing` something would fill the disk that `place` is on: it was not begun. Bytes."""
    return NoSpace(f"{doing} needs about {_said(needed)}, and {place} has {_said(free)} free. {_ADVICE}.")


def ran_out(place: Path, needed: int | None = None, kept: str = _SAFE, *, quota: bool = False) -> NoSpace:
    """What was written to `place` did not fit; `needed`: the bytes that were still to come, where known."""
    still = f", and {_said(needed)} more had to be written there" if needed else ""
    if quota:
        return NoSpace(f"the disk is full: your quota on that of {place} is used up{still}. {_ADVICE}; {kept}.")
    return NoSpace(f"the disk is full: that of {place} has {_said(_free(place))} free{still}. {_ADVICE}; {kept}.")


@contextmanager
def disk_full(place: Path, needed: int | None = None, kept: str = _SAFE) -> Iterator[None]:
    """Turns the operating system's "no space left" into `NoSpace`; other errors pass."""
    try:
        yield
    except OSError as fault:
        if fault.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise ran_out(place, needed, kept, quota=fault.errno == errno.EDQUOT) from fault


def _free(place: Path) -> int:
    """Of the disk of `place`, which need not be there yet."""
    return next((free_bytes(each) for each in (place, *place.parents) if each.exists()), 0)


def _said(octets: int) -> str:
    return f"{octets / 1e9:.1f} GB" if octets >= 1e9 else f"{octets / 1e6:.0f} MB"
