"""The machine's figures, from files as the kernel writes them."""

import pytest

from engines.memory.machine import Gpu, Machine, look, parse_gpus
from engines.memory.plan import Place

MEMINFO = "MemTotal:       1000 kB\nMemFree:  100 kB\nMemAvailable:   600 kB\nHugePages_Total:   0\n"
KIB = 1024


def folders(tmp_path, cgroup, **files):
    """A /proc and a /sys/fs/cgroup; `__` in a name is a slash."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text(MEMINFO)
    (tmp_path / "proc/self/cgroup").write_text(cgroup)
    for name, text in files.items():
        path = tmp_path / "cgroup" / name.replace("__", "/").replace("_", ".", 1)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "proc", tmp_path / "cgroup"


def test_the_kernels_figures_hold_where_no_container_is(tmp_path):
    found = look(*folders(tmp_path, "0::/\n"))
    assert (found.total, found.available) == (1000 * KIB, 600 * KIB)


@pytest.mark.parametrize(
    ("cgroup", "prefix"),
    [("0::/a/b\n", "a"), ("4:memory:/x/y\n0::/\n", "memory__x")],
)
def test_a_containers_limit_counts_wherever_above_us_it_is_set(tmp_path, cgroup, prefix):
    """Versions 2 and 1; the page cache that would be given up is free."""
    names = ("memory_max", "memory_current") if prefix == "a" else ("memory_limit_in_bytes", "memory_usage_in_bytes")
    limit, used = (f"{prefix}__{name}" for name in names)
    files = {limit: str(400 * KIB), used: str(300 * KIB), f"{prefix}__memory_stat": f"anon 5\ninactive_file {50 * KIB}"}
    found = look(*folders(tmp_path, cgroup, **files))
    assert (found.total, found.available) == (400 * KIB, 150 * KIB)


def test_a_limit_of_max_is_none(tmp_path):
    found = look(*folders(tmp_path, "0::/\n", memory_max="max\n", memory_current="5"))
    assert found.total == 1000 * KIB


def test_gpus_are_as_the_driver_tells():
    text = "0, GPU-a, 81559, 80000\n1, GPU-b, 81559, 1000\n2, GPU-c, [N/A], 5\n"
    assert parse_gpus(text) == (
        Gpu(81559 << 20, 80000 << 20, 0, "GPU-a"),
        Gpu(81559 << 20, 1000 << 20, 1, "GPU-b"),
    )


def test_a_place_on_gpus_knows_each_of_them():
    machine = Machine(1, 1, (Gpu(80, 70), Gpu(80, 10)))
    assert machine.now("cuda") == Place(80, 80, (70, 10))
    assert machine.empty("cuda") == Place(160, 80, (80, 80))
    assert Machine(100, 50).now("cuda") is None


def test_a_twentieth_of_the_machine_is_kept_back():
    assert Machine(100, 50).empty("cpu") == Place(95, 100)
    assert Machine(100, 50).now("cpu") == Place(50, 100)
