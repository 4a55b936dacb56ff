"""A child's log file: begun anew for each start (the previous one is kept as `.1`), bounded, read from its end.

Called by `keeping`, and by the supervisor: `worker`, `inquest`, `endings` and `gateways`.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

_LONGEST: Final = 64 * 1024 * 1024
_TAIL_BYTES: Final = 64 * 1024
_PRIVATE: Final = 0o600
SHOWN: Final = 20
"""Lines of its end that people are shown."""
_TELLING: Final = re.compile(r"\b(\w*(Error|Exception|Refused)\b|error:|fatal|cannot|not found|[Kk]illed)")
_ANSI: Final = re.compile(r"\x1b\[[0-9;]*m")
_PREFIX: Final = re.compile(r"^\([\w ]+ pid=\d+\)\s*|^\w+ \d\d-\d\d \d\d:\d\d:\d\d \[[^\]]*\]\s*")
"""What vLLM puts before each line: the process, the level, the time and the place."""


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def begin(path: Path, free: Callable[[Path], int] = _free) -> int:
    """An open descriptor of a fresh file at `path`, for a child to write to; the caller closes it.

    On a full disk (`free` bytes are left in a folder) nothing is written: most programs die of a line that they cannot
    write.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        path.replace(_previous(path))
    if not free(path.parent):
        return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, _PRIVATE)


def bound(path: Path, longest: int = _LONGEST) -> None:
    """Shortens a log of more than `longest` bytes to its tail; all of it is kept as `.1`, if the disk has room.

    Its writer goes on undisturbed, since `begin` opened it for appending. A line that is written in the instant between
    the copy and the cut is lost. Reads and writes as many bytes: not for an event loop.
    """
    with contextlib.suppress(OSError):  # a log that cannot be cut is no reason to end who writes it
        if path.stat().st_size > longest:
            _shorten(path)


def _shorten(path: Path) -> None:
    half = path.with_name(path.name + ".half")
    with path.open("r+b") as log:
        try:
            with open(half, "wb", opener=_private) as copy:
                shutil.copyfileobj(log, copy, 1024 * 1024)
            half.replace(_previous(path))
        except OSError:  # a full disk is a reason to cut, not to keep
            with contextlib.suppress(OSError):
                half.unlink()
        log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
        end = log.read().partition(b"\n")[2]
        log.truncate(0)
    with contextlib.suppress(OSError), path.open("ab") as log:
        log.write(end)


def _previous(path: Path) -> Path:
    return path.with_name(path.name + ".1")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, _PRIVATE)


def size(path: Path) -> int:
    """Its bytes so far; 0 where it cannot be read."""
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0


def tail(path: Path, lines: int = SHOWN, *, after: int = 0) -> tuple[str, ...]:
    """The last lines of the file, at most `lines` of them, without colours and blank ones; () if it cannot be read.

    Only what was written since it had `after` bytes; a file that has fewer now was cut, and is taken as a whole.
    """
    try:
        with path.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(0, end - _TAIL_BYTES, after if after <= end else 0))
            text = log.read().decode("utf-8", "replace")
    except OSError:  # gone, or no descriptor left: whoever asks has worse to tell
        return ()
    clean = (_ANSI.sub("", line).rstrip() for line in text.splitlines())
    return tuple(line for line in clean if line)[-lines:]


def telling(lines: Sequence[str]) -> str:
    """The one line of a log's end that most likely says what went wrong: the last that names an error.

    Pure. Empty where no line does: what a worker last said before it was killed is not why.
    """
    named = [line for line in lines if _TELLING.search(line)]
    return bare(named[-1])[:300] if named else ""


def bare(line: str) -> str:
    """A line without what the engine puts before each."""
    while (shorter := _PREFIX.sub("", line)) != line:
        line = shorter
    return line.strip()
