"""Reads files that others have put there: plain ones only. Called wherever a checkpoint's own files are read.

To open a pipe is to wait for who writes to it, maybe for ever; a device has no end. What a link leads to counts.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

LONGEST: Final = 16_000_000
"""Bytes of any configuration."""

_KINDS: Final = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


class NotPlain(OSError):
    """It cannot be read to its end as a plain file can; the message is a sentence with its path."""


def opened(path: Path) -> BinaryIO:
    """The plain file at `path`, for reading. Raises `NotPlain`, `OSError`; never waits."""
    try:
        # A socket cannot be opened at all; where there is no writer, a pipe can, so.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as fault:
        if kind := "a link that leads to itself" if fault.errno == errno.ELOOP else _kind(path):
            raise _refused(path, kind) from None
        raise
    file = open(descriptor, "rb") if stat.S_ISREG(os.fstat(descriptor).st_mode) else None  # noqa: PTH123, SIM115
    if file is None:
        os.close(descriptor)
        raise _refused(path, _kind(path))
    return file


def content(path: Path, longest: int = LONGEST) -> bytes:
    """All of the plain file at `path`. Raises `NotPlain`, also for more than `longest` bytes, and `OSError`."""
    with opened(path) as file:
        found = file.read(longest + 1)
    if len(found) > longest:
        raise NotPlain(f"{path} is longer than {longest / 1e6:.0f} MB, which nothing of its kind is")
    return found


def others(folder: Path) -> Iterator[str]:
    """What is neither file nor folder below `folder`, a sentence each, sorted; hidden ones are nobody's weights."""
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not hidden and path.exists() and not path.is_file() and not path.is_dir():
            yield str(_refused(path, _kind(path)))


def _refused(path: Path, kind: str) -> NotPlain:
    return NotPlain(f"{path} is {kind or 'no plain file'}: put the file itself there")


def _kind(path: Path) -> str:
    """In words; empty for a plain file, and where nothing is to be known."""
    try:
        return _KINDS.get(stat.S_IFMT(path.stat().st_mode), "")
    except OSError:
        return ""
