"""What the kernel knows about processes: identity across reuse of pids, sessions, and how to end one whole.

Read from `/proc`, so Linux only. Called by `process` and `leftovers`.
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


def session(leader: int) -> list[int]:
    """Every running process of the session that `leader` leads or led, `leader` included."""
    members = (int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit())
    return [pid for pid in members if (fields := _stat(pid)) and int(fields[3]) == leader and fields[0] != "Z"]


def leader(pid: int) -> int | None:
    """Who leads the session of `pid`. None: there is no such process."""
    fields = _stat(pid)
    return int(fields[3]) if fields else None


def kill_session(leader: int) -> int:
    """SIGKILL to every process of the session. Returns how many there were."""
    members = session(leader)
    for pid in members:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(members)


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
