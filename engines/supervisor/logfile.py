"""A worker's log file: begun anew for each start (the previous one is kept as `.1`), and read from its end."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_TAIL_BYTES: Final = 64 * 1024
_TELLING: Final = re.compile(r"\b(\w*(Error|Exception|Refused)\b|error:|fatal|cannot|not found|[Kk]illed)")
_ANSI: Final = re.compile(r"\x1b\[[0-9;]*m")
_PREFIX: Final = re.compile(r"^\([\w ]+ pid=\d+\)\s*|^\w+ \d\d-\d\d \d\d:\d\d:\d\d \[[^\]]*\]\s*")
"""What vLLM puts before each line: the process, the level, the time and the place."""


def begin(path: Path) -> int:
    """An open descriptor of a fresh file at `path`, for a child to write to; the caller closes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        path.replace(path.with_name(path.name + ".1"))
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def tail(path: Path, lines: int = 20) -> tuple[str, ...]:
    """The last lines of the file, at most `lines` of them, without colours and blank ones; () if there is none."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
            text = log.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ()
    clean = (_ANSI.sub("", line).rstrip() for line in text.splitlines())
    return tuple(line for line in clean if line)[-lines:]


def telling(lines: Sequence[str]) -> str:
    """The one line of a log's end that most likely says what went wrong: the last that names an error.

    Pure. Empty where no line does: what a worker last said before it was killed is not why.
    """
    named = [line for line in lines if _TELLING.search(line)]
    line = named[-1] if named else ""
    while (shorter := _PREFIX.sub("", line)) != line:
        line = shorter
    return line.strip()[:300]
