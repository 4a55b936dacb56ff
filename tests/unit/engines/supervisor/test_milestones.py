"""Progress of a start, from the log and the clock."""

from __future__ import annotations

from engines.supervisor.milestones import loading
from registry.snapshot import Loading


def test_before_the_first_line_it_is_importing() -> None:
    assert loading("", 10.0, 40.0) == Loading("starting the worker: importing", 0.25, 30)


def test_the_last_milestone_counts() -> None:
    log = "Initializing a V1 LLM engine (v0.32)\nStarting to load model /x\n"
    assert loading(log, 20.0, 40.0).step == "starting the worker: loading the weights"


def test_a_late_start_never_looks_done() -> None:
    """Nor as if it ended in a second, each second."""
    late = loading("", 400.0, 40.0)
    assert (late.fraction, late.eta) == (0.91, 40)


def test_a_machine_that_was_slow_so_far_is_slow_to_the_end() -> None:
    """60 seconds for what is the first 59 hundredths of any start of vLLM."""
    slow = loading("non-default args: {}", 59.0, 40.0)
    assert (slow.step, slow.fraction, slow.eta) == ("starting the worker: importing", 0.59, 41)


def test_a_start_that_is_quicker_than_the_last_one_is_not_held_up() -> None:
    assert loading("non-default args: {}", 10.0, 40.0).eta == 30


def test_at_once_it_is_at_the_beginning() -> None:
    assert loading("", 0.0, 0.0) == Loading("starting the worker: importing", 0.0, 1)
