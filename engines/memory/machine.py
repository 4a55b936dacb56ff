"""How much memory this machine has and has left: the kernel's figures, a container's limit, the driver's for GPUs.

Called by the supervisor before a worker starts and by `enginehouse check`. Bytes throughout; `parse_*` are pure.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from engines.memory.devices import visible
from engines.memory.plan import Place

_KIB: Final = 1024
_MIB: Final = 1024**2
_PATIENCE: Final = 10.0
"""Seconds for `nvidia-smi`."""
_KEPT_BACK: Final = 20
"""This part of the machine is left to the system and to us."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """One device."""

    total: int
    free: int
    index: int = 0
    """As `nvidia-smi` counts them."""
    uuid: str = ""


@dataclass(frozen=True, slots=True)
class Machine:
    """Memory of the machine, or of the container that we are in."""

    total: int
    available: int
    """What could be used now without swapping; the page cache counts as free."""
    gpus: tuple[Gpu, ...] = ()

    def seen_by(self, env: Mapping[str, str]) -> Machine:
        """The same with the GPUs alone that the operator's environment leaves to us."""
        return replace(self, gpus=visible(self.gpus, env))

    def now(self, device: str) -> Place | None:
        """Where workers can go now, beside all that runs; None: there is no such device."""
        if device == "cpu":
            return Place(self.available, self.total)
        return self._on_gpus(tuple(gpu.free for gpu in self.gpus))

    def empty(self, device: str) -> Place | None:
        """Where workers could go if nothing else of size ran here."""
        if device == "cpu":
            return Place(self.total - self.total // _KEPT_BACK, self.total)
        return self._on_gpus(tuple(gpu.total for gpu in self.gpus))

    def _on_gpus(self, free: tuple[int, ...]) -> Place | None:
        return Place(sum(free), min(gpu.total for gpu in self.gpus), free) if free else None


def look(proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> Machine:
    """The machine that we run on, as it is now."""
    total, available = parse_meminfo((proc / "meminfo").read_text())
    for folder in groups((proc / "self/cgroup").read_text(), cgroups):
        limit = _figure(folder, "memory.max", "memory.limit_in_bytes")
        used = _figure(folder, "memory.current", "memory.usage_in_bytes")
        if limit is not None and used is not None and limit < total:
            total, available = limit, min(available, limit - used + _reclaimable(folder))
    return Machine(total, max(0, available), _gpus())


def parse_meminfo(text: str) -> tuple[int, int]:
    """MemTotal and MemAvailable."""
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    total, available = (int(fields[name].split()[0]) * _KIB for name in ("MemTotal", "MemAvailable"))
    return total, available


def parse_gpus(text: str) -> tuple[Gpu, ...]:
    """Lines of `index, uuid, memory.total, memory.free` in MiB."""
    rows = ([word.strip() for word in line.split(",")] for line in text.splitlines() if line.count(",") == 3)
    known = (row for row in rows if all(row[number].isdigit() for number in (0, 2, 3)))
    return tuple(Gpu(int(total) * _MIB, int(free) * _MIB, int(index), uuid) for index, uuid, total, free in known)


def smi(*query: str) -> str:
    """What `nvidia-smi` answers as CSV; empty where there is none, or where it fails or hangs."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    with suppress(OSError, subprocess.SubprocessError):
        argv = [program, *query, "--format=csv,noheader,nounits"]
        return subprocess.run(argv, capture_output=True, text=True, timeout=_PATIENCE, check=True).stdout
    return ""


def _gpus() -> tuple[Gpu, ...]:
    return parse_gpus(smi("--query-gpu=index,uuid,memory.total,memory.free"))


def groups(text: str, cgroups: Path) -> Iterator[Path]:
    """The folders of the control groups that bound our memory, innermost first; version 2 has no controllers named."""
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers not in {"", "memory"}:
            continue
        root = cgroups / controllers if controllers else cgroups
        inner = root / path.lstrip("/")
        yield from (folder for folder in (inner, *inner.parents) if folder.is_relative_to(root))


def _figure(folder: Path, *names: str) -> int | None:
    """The number in the first of these files that holds one; `max` is none."""
    for name in names:
        with suppress(OSError, ValueError):
            return int((folder / name).read_text())
    return None


def _reclaimable(folder: Path) -> int:
    """The page cache that counts towards a group's use but would be given up."""
    with suppress(OSError):
        for line in (folder / "memory.stat").read_text().splitlines():
            name, _, figure = line.partition(" ")
            if name in {"inactive_file", "total_inactive_file"} and figure.isdigit():
                return int(figure)
    return 0
