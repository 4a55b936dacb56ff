"""What is really installed in an environment, read from its files. Called by `environment`.

A package counts only if its list of files (RECORD) is there and every file on it exists: an interrupted
installation leaves the one or the other out, and so does somebody who deletes a folder.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from engines.environments.locks import Pin, normalised


@dataclass(frozen=True, slots=True)
class Difference:
    """What separates an environment from its lock. `missing`: not there in that version; `damaged`: only in part."""

    missing: tuple[Pin, ...]
    damaged: tuple[Pin, ...]

    @property
    def is_none(self) -> bool:
        """Whether the environment is what its lock says."""
        return not self.missing and not self.damaged

    def __str__(self) -> str:
        parts = [("missing", self.missing), ("incomplete", self.damaged)]
        return "; ".join(f"{word}: {_listed(found)}" for word, found in parts if found)


def site_packages(root: Path) -> Path | None:
    """Where the environment at `root` keeps its packages."""
    return next(iter(sorted(root.glob("lib/python3*/site-packages"))), None)


def difference(root: Path, wanted: Iterable[Pin]) -> Difference:
    """Compare the environment at `root` with its pins."""
    site = site_packages(root)
    found = _distributions(site) if site else {}
    missing, damaged = [], []
    for pin in wanted:
        record = found.get(pin)
        if record is None:
            missing.append(pin)
        elif not _whole(record):
            damaged.append(pin)
    return Difference(tuple(missing), tuple(damaged))


def metadata_of(root: Path, pin: Pin) -> Path | None:
    """The `.dist-info` folder of `pin`."""
    site = site_packages(root)
    return _distributions(site).get(pin) if site else None


def finished(root: Path) -> int:
    """How many packages have their list of files, which pip writes last."""
    site = site_packages(root)
    return sum(1 for _ in site.glob("*.dist-info/RECORD")) if site else 0


def _distributions(site: Path) -> dict[Pin, Path]:
    found = {}
    for entry in os.scandir(site):
        if entry.name.endswith(".dist-info"):
            name, _, version = entry.name.removesuffix(".dist-info").partition("-")
            found[Pin(normalised(name), version)] = Path(entry.path)
    return found


def _whole(metadata: Path) -> bool:
    try:
        with (metadata / "RECORD").open(encoding="utf-8", newline="") as record:
            names = [row[0] for row in csv.reader(record) if row]
    except OSError:
        return False
    above = f"{metadata.parent}{os.sep}"
    # Bytecode is made and thrown away by whoever imports: its absence means nothing.
    return all(os.path.lexists(above + name) for name in names if not name.endswith(".pyc"))


def _listed(found: tuple[Pin, ...], most: int = 5) -> str:
    shown = ", ".join(map(str, found[:most]))
    return f"{shown} and {len(found) - most} more" if len(found) > most else shown
