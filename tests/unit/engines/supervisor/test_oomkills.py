"""Where the kernel counts, in both generations of control groups and without any."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engines.supervisor import oomkills

COUNTED = "low 0\noom 3\noom_kill 2\noom_group_kill 0\n"


def machine(folder: Path, group: str, counted: str = "") -> tuple[Path, Path]:
    """`/proc` of a process 7 in this group, and the control groups, of which `counted` is one's file."""
    proc, cgroups = folder / "proc", folder / "cgroup"
    (proc / "7").mkdir(parents=True)
    (proc / "7/cgroup").write_text(f"{group}\n")
    (proc / "vmstat").write_text("pgfault 9\noom_kill 5\n")
    if counted:
        (cgroups / counted).parent.mkdir(parents=True)
        (cgroups / counted).write_text(COUNTED)
    return proc, cgroups


@pytest.mark.parametrize(
    ("group", "counted"),
    [
        ("0::/house/m-0", "house/m-0/memory.events"),
        ("0::/seen/from/outside", "memory.events"),
        ("4:memory:/house", "memory/house/memory.oom_control"),
    ],
)
def test_the_own_groups_count_is_the_proof(tmp_path: Path, group: str, counted: str) -> None:
    proc, cgroups = machine(tmp_path, group, counted)
    found = oomkills.counter(7, proc, cgroups)
    assert (found, oomkills.count(found)) == (cgroups / counted, 2)


def test_without_a_group_the_machine_counts(tmp_path: Path) -> None:
    proc, cgroups = machine(tmp_path, "0::/")
    assert oomkills.count(oomkills.counter(7, proc, cgroups)) == 5
    assert oomkills.count(oomkills.counter(8, proc, cgroups)) == 5


def test_where_nobody_counts_nothing_is_known(tmp_path: Path) -> None:
    assert oomkills.count(oomkills.counter(7, tmp_path, tmp_path)) is None


def test_this_machine_can_be_asked() -> None:
    assert isinstance(oomkills.count(oomkills.counter(os.getpid())), int | None)
