"""A folder into which trainers put adapters: what lies there whole, and has not been taken yet. Asked by `declared`.

An adapter is taken once for each state of its files, and only after two looks that found it the same: nobody writes it.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from engines import safetensors
from engines.adapters.folder import PARTS, WEIGHTS
from registry import names

_ARCHIVES: Final = (".tar.gz", ".tgz", ".tar", ".zip")
_NAME: Final = re.compile(names.ADAPTER_PATTERN)


class WatchFolder:
    """Invariant: what was taken is noted before anybody hears of it, so that a restart takes nothing twice."""

    def __init__(self, note: Path) -> None:
        self._note: Final = note
        self._taken: Final[dict[str, str]] = _noted(note)
        self._seen: dict[str, str] = {}

    def arrivals(self, folder: Path) -> tuple[tuple[str, Path], ...]:
        """By name, what is new in `folder`. Reads directories and headers: not for the event loop."""
        found = dict(_complete(folder))
        before, self._seen = self._seen, {str(path): look for path, look in found.items()}
        fresh = [path for path, look in found.items() if before.get(str(path)) == look != self._taken.get(str(path))]
        if fresh:
            self._taken.update({str(path): found[path] for path in fresh})
            with contextlib.suppress(OSError):
                self._note.write_bytes(msgspec.json.encode(self._taken))
        return tuple((_called(path), path) for path in fresh)


def _complete(folder: Path) -> Iterator[tuple[Path, str]]:
    """What may be an adapter that is whole, and how it looks; what a trainer still writes is passed over."""
    with contextlib.suppress(OSError):
        for path in sorted(folder.iterdir()):
            with contextlib.suppress(OSError):
                if not path.name.startswith(".") and (look := _look(path)):
                    yield path, look


def _look(path: Path) -> str:
    if path.is_dir():
        parts = [path / name for name in PARTS]
        if not all(os.path.lexists(part) for part in parts) or not _whole(path / WEIGHTS):
            return ""
        return " ".join(_state(part) for part in parts)
    return _state(path) if path.is_file() and path.name.endswith(_ARCHIVES) else ""


def _whole(weights: Path) -> bool:
    """Whether the file is as long as its header says; one that is damaged otherwise is the doctor's to refuse."""
    try:
        safetensors.read(weights)
    except safetensors.HeaderRefused:
        return False
    return True


def _state(path: Path) -> str:
    found = path.lstat()
    return f"{found.st_ino}:{found.st_size}:{found.st_mtime_ns}"


def _called(path: Path) -> str:
    """The adapter's name, if it can be one."""
    name = path.name if path.is_dir() else next(path.name.removesuffix(e) for e in _ARCHIVES if path.name.endswith(e))
    return name if _NAME.fullmatch(name) else name[:64]


def _noted(note: Path) -> dict[str, str]:
    try:
        return msgspec.json.decode(note.read_bytes(), type=dict[str, str])
    except (OSError, msgspec.DecodeError):
        return {}
