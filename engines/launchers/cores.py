"""How many threads a worker on this machine computes with: the cores that are ours, and a container's share of them.

Called by `engines.supervisor.main` for the workers of the launcher `local`, which share the machine.
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Final

_FEW: Final = 2
"""So many cores all compute. Of more, one is left to what feeds them, as vLLM does it itself."""


def threads(
    allowed: Collection[int] | None = None,
    system: Path = Path("/sys/devices/system"),
    proc: Path = Path("/proc"),
    cgroups: Path = Path("/sys/fs/cgroup"),
) -> int | None:
    """For one worker, whatever else runs; `allowed` are the CPUs that we may use (None: as the kernel says).

    None where the memory of the machine is in several parts, and the CPUs too: there the engine binds its threads to
    one of them, which is worth more than sharing well.
    """
    ours = os.sched_getaffinity(0) if allowed is None else allowed
    if len(_nodes(ours, system)) > 1:
        return None
    cores = len({_siblings(cpu, system) for cpu in ours})
    share = _share(proc, cgroups)
    usable = cores if share is None else min(cores, max(1, math.floor(share)))
    return max(min(usable, _FEW), usable - 1)


def _nodes(ours: Collection[int], system: Path) -> list[str]:
    """The memory nodes to which CPUs of ours belong."""
    found = {each.parent.name: each.read_text() for each in system.glob("node/node*/cpulist")}
    return [name for name, text in found.items() if not _listed(text).isdisjoint(ours)]


def _siblings(cpu: int, system: Path) -> str:
    """The same for all threads of one core; unknown: each is a core of its own."""
    with suppress(OSError):
        return (system / f"cpu/cpu{cpu}/topology/thread_siblings_list").read_text().strip()
    return str(cpu)


def _listed(text: str) -> set[int]:
    """The kernel's lists: `0-3,8`."""
    found: set[int] = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        if first:
            found.update(range(int(first), int(last or first) + 1))
    return found


def _share(proc: Path, cgroups: Path) -> float | None:
    """CPUs that our control group, or one around it, may use; version 2's figure alone. None: as many as there are."""
    found: list[float] = []
    with suppress(OSError):
        own = next((line[3:] for line in (proc / "self/cgroup").read_text().splitlines() if line[:3] == "0::"), "/")
        inner = cgroups / own.lstrip("/")
        for folder in (inner, *inner.parents):
            if folder.is_relative_to(cgroups):
                found += _quota(folder)
    return min(found, default=None)


def _quota(folder: Path) -> list[float]:
    with suppress(OSError, ValueError):
        quota, period = (folder / "cpu.max").read_text().split()
        return [int(quota) / int(period)]
    return []
