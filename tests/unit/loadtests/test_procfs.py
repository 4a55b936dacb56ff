"""/proc as the benchmark reads it."""

from loadtests.bench.procfs import ProcessStat, parse_stat, tree


def _process(pid: int, parent: int) -> ProcessStat:
    return ProcessStat(pid=pid, parent=parent, own_ticks=0, reaped_ticks=0, rss=0)


def test_a_stat_line_yields_cpu_ticks_and_pages() -> None:
    """Fields 14 to 17 are CPU time of the process and of its reaped children, field 24 is resident pages."""
    line = "42 (nginx) S 7 42 42 0 -1 4194560 100 0 0 0 11 12 3 4 20 0 1 0 999 1000000 321 18446744073709551615"

    assert parse_stat(line) == ProcessStat(pid=42, parent=7, own_ticks=23, reaped_ticks=7, rss=321)


def test_a_command_name_with_blanks_and_brackets_does_not_shift_the_fields() -> None:
    """The kernel escapes nothing in the name."""
    line = "42 (a ) (b) c) S 7 42 42 0 -1 0 0 0 0 0 1 2 0 0 20 0 1 0 9 10 5 6"

    assert parse_stat(line) == ProcessStat(pid=42, parent=7, own_ticks=3, reaped_ticks=0, rss=5)


def test_a_tree_is_the_root_and_all_its_descendants() -> None:
    """A launcher may start its server as a grandchild."""
    processes = {pid: _process(pid, parent) for pid, parent in ((1, 0), (2, 1), (3, 2), (4, 2), (5, 1))}

    assert sorted(process.pid for process in tree(2, processes)) == [2, 3, 4]


def test_the_tree_of_a_process_that_is_gone_is_empty() -> None:
    """A crashed server costs nothing, and the report shows its errors."""
    assert tree(9, {1: _process(1, 0)}) == []
