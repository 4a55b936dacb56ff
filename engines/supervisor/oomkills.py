"""How many processes the kernel has ended for want of memory. The one seam to its counters; used by `inquest`.

A control group counts whether its own limit or the machine's memory was reached (Linux, admin-guide/cgroup-v2.rst,
`oom_kill`), in version 2 for the groups below it too. A worker mostly shares its group with the supervisor and the
other workers. So the count proves that the kernel ended some process there, not which: `endings` also wants a sign
that it was the worker's. Where it cannot be read, the machine's (`/proc/vmstat`) stands in.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from engines.memory.machine import groups


def counter(pid: int, proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> Path:
    """The file that counts for this process: its control group's, else the machine's."""
    with suppress(OSError, ValueError):
        for group in groups((proc / f"{pid}/cgroup").read_text(), cgroups):
            for name in ("memory.events", "memory.oom_control"):
                if count(group / name) is not None:
                    return group / name
    return proc / "vmstat"


def count(path: Path) -> int | None:
    """The number behind `oom_kill`, as both generations of control groups and the machine write it; None: no count."""
    with suppress(OSError, ValueError):
        return next((int(line[9:]) for line in path.read_text().splitlines() if line.startswith("oom_kill ")), None)
    return None
