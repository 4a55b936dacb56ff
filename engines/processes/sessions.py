"""What the kernel knows about processes: identity across reuse of pids, sessions, and how to end one whole.

Read from `/proc`, so Linux only. Called by `keeping`, `leftovers`, the local launcher and the supervisor's `footprint`.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")


def birth(pid: int) -> int | None:
    """When `pid` was started, in clock ticks since boot; with the pid it names one process for good. None: no such."""
    fields = _stat(pid)
    return int(fields[19]) if fields else None


def runs(pid: int) -> bool:
    """Whether `pid` has not ended; one that nobody has waited for yet has."""
    fields = _stat(pid)
    return bool(fields) and fields[0] != "Z"


def members(leader: int) -> list[int]:
    """Every running process of the session that `leader` leads or led, `leader` included."""
    pids = (int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit())
    return [pid for pid in pids if (fields := _stat(pid)) and int(fields[3]) == leader and fields[0] != "Z"]


def leader(pid: int) -> int | None:
    """Who leads the session of `pid`. None: there is no such process."""
    fields = _stat(pid)
    return int(fields[3]) if fields else None


def kill(leader: int) -> int:
    """SIGKILL to every process of the session. Returns how many there were."""
    found = members(leader)
    for pid in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(found)


def boot() -> str:
    """The kernel's id of this boot: clock ticks of another boot mean nothing."""
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()


def _stat(pid: int) -> list[str]:
    """The fields of `/proc/PID/stat` from the third (state) on; empty if there is no such process."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.rpartition(")")[2].split()
