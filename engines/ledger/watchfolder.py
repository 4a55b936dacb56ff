"""A folder into which trainers put adapters: what lies there whole, and has not been taken yet. Asked by `declared`.

An adapter is taken once for each state of its files, and only after two looks that found it the same: nobody writes it.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from engines import atomic, safetensors
from engines.adapters.folder import PARTS, WEIGHTS
from registry import names

_ARCHIVES: Final = (".tar.gz", ".tgz", ".tar", ".zip")
_NAME: Final = re.compile(names.ADAPTER_PATTERN)


class Arrival(NamedTuple):
    """What is new in a folder."""

    adapter: str
    path: Path
    look: str
    """The state of its files."""


class WatchFolder:
    """Invariant: each state of an adapter arrives once; after a restart again, unless it was `settled` before."""

    def __init__(self, note: Path) -> None:
        self._note: Final = note
        self._settled: Final[dict[str, str]] = _noted(note)
        self._taken: Final = dict(self._settled)
        self._seen: Final[dict[Path, dict[str, str]]] = {}
        """What lay in each folder at the last look."""

    def arrivals(self, folder: Path) -> tuple[Arrival, ...]:
        """What is new in `folder`. Reads directories and headers: not for the event loop."""
        found = dict(_complete(folder))
        before = self._seen.get(folder, {})
        self._seen[folder] = {str(path): look for path, look in found.items()}
        fresh = [path for path, look in found.items() if before.get(str(path)) == look != self._taken.get(str(path))]
        self._taken.update({str(path): found[path] for path in fresh})
        return tuple(Arrival(_called(path), path, found[path]) for path in fresh)

    def newest(self, arrival: Arrival) -> bool:
        """Whether no other state of it has arrived since."""
        return self._taken.get(str(arrival.path)) == arrival.look

    def settle(self, arrival: Arrival) -> None:
        """It was added, or is never going to be: noted, so that a restart does not take it again."""
        self._settled[str(arrival.path)] = arrival.look
        with contextlib.suppress(OSError):
            atomic.write(self._note, msgspec.json.encode(self._settled), durable=False)


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
    """Whether the file is as long as its header says; one that is damaged otherwise, or is none, is the doctor's to
    refuse: reading a pipe would never end.
    """
    if not weights.is_file():
        return True
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
