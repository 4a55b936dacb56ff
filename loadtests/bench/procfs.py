"""CPU time and memory of a process and all its descendants, read from /proc. Called by `measure`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICK: Final = 1 / os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class ProcessStat:
    """The fields of one /proc/PID/stat that we read. CPU in clock ticks, `rss` in pages."""

    pid: int
    parent: int
    own_ticks: int
    reaped_ticks: int
    """Of children that have ended and were waited for."""
    rss: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process tree has used: `cpu` in seconds since its start, `rss` in bytes now."""

    cpu: float
    rss: int


def parse_stat(text: str) -> ProcessStat:
    """One line of /proc/PID/stat. The command name may contain blanks and brackets: it ends at the last `)`."""
    pid, _, rest = text.partition(" (")
    fields = rest.rpartition(")")[2].split()
    return ProcessStat(
        pid=int(pid),
        parent=int(fields[1]),
        own_ticks=int(fields[11]) + int(fields[12]),
        reaped_ticks=int(fields[13]) + int(fields[14]),
        rss=int(fields[21]),
    )


def tree(root: int, processes: Mapping[int, ProcessStat]) -> list[ProcessStat]:
    """`root` and its descendants among `processes`; empty where `root` is gone."""
    children: dict[int, list[int]] = {}
    for process in processes.values():
        children.setdefault(process.parent, []).append(process.pid)
    found: list[ProcessStat] = []
    waiting = [root] if root in processes else []
    while waiting:
        pid = waiting.pop()
        found.append(processes[pid])
        waiting.extend(children.get(pid, []))
    return found


def usage(root: int) -> Usage:
    """What the tree under `root` has used so far; zeros where it is gone."""
    members = tree(root, {process.pid: process for process in _processes()})
    ticks = sum(process.own_ticks + process.reaped_ticks for process in members)
    return Usage(cpu=ticks * _TICK, rss=sum(process.rss for process in members) * _PAGE)


def _processes() -> Iterator[ProcessStat]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                yield parse_stat((entry / "stat").read_text())
            except (FileNotFoundError, ProcessLookupError):
                continue
