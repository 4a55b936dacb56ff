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
    late = loading("", 400.0, 40.0)
    assert (late.fraction, late.eta) == (0.97, 1)
