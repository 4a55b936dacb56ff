"""How many threads a worker computes with, by files as the kernel writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines.launchers.cores import threads


def machine(folder: Path, *nodes: str, siblings: dict[int, str] | None = None, **limits: str) -> dict[str, Path]:
    """A /sys, a /proc and control groups; `limits` are `cpu.max` of the group called so, `top` is the outermost."""
    for number, cpus in enumerate(nodes):
        written(folder / f"sys/node/node{number}/cpulist", f"{cpus}\n")
    for cpu, text in (siblings or {}).items():
        written(folder / f"sys/cpu/cpu{cpu}/topology/thread_siblings_list", f"{text}\n")
    written(folder / "proc/self/cgroup", "0::/pod/ours\n")
    for group, text in limits.items():
        written(folder / "groups" / {"top": "", "pod": "pod", "ours": "pod/ours"}[group] / "cpu.max", text)
    return {"system": folder / "sys", "proc": folder / "proc", "cgroups": folder / "groups"}


def written(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(("cpus", "expected"), [(1, 1), (2, 2), (3, 2), (8, 7)])
def test_few_cores_all_compute_and_many_leave_one_to_what_feeds_them(tmp_path, cpus, expected):
    """Measured on two cores: two threads are faster than one, also beside the engine's other processes."""
    assert threads(range(cpus), **machine(tmp_path, "0-7")) == expected


def test_two_threads_of_one_core_count_once(tmp_path):
    pairs = {0: "0,4", 1: "1,5", 2: "2,6", 3: "3,7", 4: "0,4", 5: "1,5", 6: "2,6", 7: "3,7"}
    assert threads(range(8), **machine(tmp_path, "0-7", siblings=pairs)) == 3


def test_where_memory_has_several_parts_the_engine_chooses(tmp_path):
    """It binds itself to the cores beside one of them."""
    assert threads(range(8), **machine(tmp_path, "0-3", "4-7")) is None


def test_parts_that_are_not_ours_do_not_count(tmp_path):
    """A container that was given one of them."""
    assert threads(range(4), **machine(tmp_path, "0-3", "4-7", "")) == 3


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"ours": "200000 100000"}, 2),
        ({"pod": "450000 100000", "ours": "max 100000"}, 3),
        ({"top": "50000 100000"}, 1),
        ({"ours": "max 100000"}, 15),
        ({"ours": "nonsense"}, 15),
    ],
    ids=str,
)
def test_a_containers_share_counts_wherever_it_is_set(tmp_path, limits, expected):
    """More threads than that would wait for one another."""
    assert threads(range(16), **machine(tmp_path, "0-15", **limits)) == expected


def test_without_any_of_these_files_each_cpu_is_a_core(tmp_path):
    assert threads({2, 3, 5}, tmp_path, tmp_path, tmp_path) == 2


def test_of_this_machine_there_is_an_answer():
    found = threads()
    assert found is None or found >= 1
