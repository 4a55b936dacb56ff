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
        file = open(path, "rb", opener=_unwaiting)  # noqa: SIM115 - pathlib's has no opener; the caller closes it
    except OSError as fault:
        if kind := "a link that leads to itself" if fault.errno == errno.ELOOP else _kind(path):
            raise _refused(path, kind) from None
        raise
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise _refused(path, _kind(path))
    return file


def _unwaiting(path: str, flags: int) -> int:
    """A socket cannot be opened at all; where there is no writer, a pipe can, so."""
    return os.open(path, flags | os.O_NONBLOCK)


def content(path: Path, longest: int = LONGEST) -> bytes:
    """All of the plain file at `path`. Raises `NotPlain`, also for more than `longest` bytes, and `OSError`."""
    with opened(path) as file:
        found = file.read(longest + 1)
    if len(found) > longest:
        raise NotPlain(f"{path} is longer than {longest / 1e6:.0f} MB, the most that is read of its kind")
    return found


def others(folder: Path) -> Iterator[str]:
    """What is neither file nor folder in `folder`, a sentence each, sorted. Raises `OSError` where it cannot be listed.

    Hidden ones are nobody's weights, nor is what cannot be looked at, or lies further below.
    """
    for path in sorted(folder.iterdir()):
        kind = "" if path.name.startswith(".") else _kind(path)
        if kind and not path.is_dir():
            yield str(_refused(path, kind))


def _refused(path: Path, kind: str) -> NotPlain:
    return NotPlain(f"{path} is {kind or 'no plain file'}: put the file itself there")


def _kind(path: Path) -> str:
    """In words; empty for a plain file, and where nothing is to be known."""
    try:
        return _KINDS.get(stat.S_IFMT(path.stat().st_mode), "")
    except OSError:
        return ""
