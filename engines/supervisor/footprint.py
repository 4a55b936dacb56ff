"""What a worker really takes: its session's part of the memory, or what it has on the GPUs. Called by `memory`."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

from engines.memory import machine
from engines.processes import sessions

_PROC: Final = Path("/proc")
_KIB: Final = 1024
_MIB: Final = 1024**2


def taken(pid: int, device: str) -> int | None:
    """Bytes of the session that the process `pid` belongs to, keeper and engine; None: it is gone, or not to be told.

    On CPU each page counts in equal parts for those who share it (PSS), so that libraries are not counted thrice.
    """
    leader = sessions.leader(pid)
    if leader is None:
        return None
    members = sessions.members(leader)
    if device == "cpu":
        return sum(proportional(member) for member in members) or None
    return on_gpus(machine.smi("--query-compute-apps=pid,used_memory"), frozenset(members)) or None


def proportional(pid: int) -> int:
    """Bytes of one process; 0 once it has ended."""
    with contextlib.suppress(OSError):
        for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * _KIB
    return 0


def on_gpus(text: str, pids: frozenset[int]) -> int:
    """Bytes of these processes in lines of `pid, used_memory` in MiB, on all devices together."""
    rows = (line.split(",") for line in text.splitlines() if line.count(",") == 1)
    return sum(int(used) * _MIB for pid, used in rows if used.strip().isdigit() and int(pid) in pids)
