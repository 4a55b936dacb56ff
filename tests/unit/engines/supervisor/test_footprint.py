"""What processes take, as kernel and driver tell it."""

import os

from engines.supervisor import footprint


def test_a_process_takes_its_part_of_what_it_shares():
    """More than nothing, less than the machine; this one is a Python with its tests."""
    assert 1_000_000 < footprint.proportional(os.getpid()) < 100_000_000_000


def test_what_is_gone_takes_nothing():
    gone = 2**22 + 1
    assert (footprint.proportional(gone), footprint.taken(gone, "cpu")) == (0, None)


def test_a_session_is_measured_whole():
    assert footprint.taken(os.getpid(), "cpu") >= footprint.proportional(os.getpid()) // 2


def test_only_the_workers_processes_count_on_a_gpu():
    text = "11, 1000\n12, 24\n13, 500\n14, [N/A]\n"
    assert footprint.on_gpus(text, frozenset({11, 12, 14})) == 1024 << 20
