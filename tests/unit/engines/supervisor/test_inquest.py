"""What is held against a worker's memory, and what is read of its log."""

from __future__ import annotations

from pathlib import Path

from engines.supervisor.inquest import Inquest
from registry.causes import Cause


def inquest(folder: Path) -> tuple[Inquest, Path]:
    """One over a worker that runs, and the kernel's count."""
    counter = folder / "memory.events"
    counter.write_text("oom_kill 3\n")
    held = Inquest(on_device=False, counter=lambda _: counter)
    held.open(7)
    return held, counter


def test_what_was_killed_since_it_was_well_is_this_worker(tmp_path: Path) -> None:
    held, counter = inquest(tmp_path)
    counter.write_text("oom_kill 4\n")
    assert held.find("killed by SIGKILL", None, ours=False).cause is Cause.OUT_OF_MEMORY


def test_what_was_killed_before_was_another(tmp_path: Path) -> None:
    """Its neighbour in the same control group, say."""
    held, counter = inquest(tmp_path)
    counter.write_text("oom_kill 4\n")
    held.well()
    assert held.find("killed by SIGKILL", None, ours=False).cause is Cause.KILLED


def test_a_count_that_is_gone_proves_nothing(tmp_path: Path) -> None:
    """As the control group may be, with its last process."""
    held, counter = inquest(tmp_path)
    counter.unlink()
    assert held.find("killed by SIGKILL", None, ours=False).cause is Cause.KILLED


def test_on_another_machine_nobody_is_asked(tmp_path: Path) -> None:
    held, counter = inquest(tmp_path)
    held.open(None)
    counter.write_text("oom_kill 9\n")
    assert held.find("killed by SIGKILL", None, ours=False).cause is Cause.KILLED


def test_the_cause_is_found_far_above_what_people_are_shown(tmp_path: Path) -> None:
    """The server's own traceback comes after the engine's."""
    held, _ = inquest(tmp_path)
    log = tmp_path / "m-0.log"
    log.write_text("MemoryError\n" + "".join(f"  File {number}\n" for number in range(300)))
    found = held.find("exited with status 1", log, ours=False)
    assert (found.cause, len(found.tail), found.tail[-1]) == (Cause.OUT_OF_MEMORY, 20, "  File 299")
