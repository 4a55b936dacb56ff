"""What is held against a worker's memory, and what is read of its log."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines.supervisor.inquest import Inquest
from registry.causes import Cause


def inquest(folder: Path, *, on_device: bool = False) -> tuple[Inquest, Path]:
    """One over a worker that runs, and the kernel's count; the worker's log is `m-0.log`."""
    counter = folder / "memory.events"
    counter.write_text("oom_kill 3\n")
    held = Inquest(on_device=on_device, counter=lambda _: counter)
    held.open(7, folder / "m-0.log")
    return held, counter


def writes(folder: Path, *lines: str) -> None:
    with (folder / "m-0.log").open("a") as log:
        log.writelines(f"{line}\n" for line in lines)


def test_what_was_killed_since_it_was_well_is_this_worker(tmp_path: Path) -> None:
    held, counter = inquest(tmp_path)
    counter.write_text("oom_kill 4\n")
    assert held.find("killed by SIGKILL", ours=False).cause is Cause.OUT_OF_MEMORY


def test_what_was_killed_before_was_another(tmp_path: Path) -> None:
    """Its neighbour in the same control group, say."""
    held, counter = inquest(tmp_path)
    counter.write_text("oom_kill 4\n")
    held.look()
    held.well()
    assert held.find("killed by SIGKILL", ours=False).cause is Cause.KILLED


def test_a_count_that_is_gone_proves_nothing(tmp_path: Path) -> None:
    """As the control group may be, with its last process."""
    held, counter = inquest(tmp_path)
    counter.unlink()
    assert held.find("killed by SIGKILL", ours=False).cause is Cause.KILLED


def test_on_another_machine_nobody_is_asked(tmp_path: Path) -> None:
    held, counter = inquest(tmp_path)
    held.open(None, None)
    counter.write_text("oom_kill 9\n")
    assert held.find("killed by SIGKILL", ours=False).cause is Cause.KILLED


def test_the_cause_is_found_far_above_what_people_are_shown(tmp_path: Path) -> None:
    """The server's own traceback comes after the engine's."""
    held, _ = inquest(tmp_path)
    writes(tmp_path, "MemoryError", *(f"  File {number}" for number in range(300)))
    found = held.find("exited with status 1", ours=False)
    assert (found.cause, len(found.tail), found.tail[-1]) == (Cause.OUT_OF_MEMORY, 20, "  File 299")


def test_what_it_said_before_it_was_found_well_it_survived(tmp_path: Path) -> None:
    """One request had too little memory; much later the worker hangs. People are shown the log's end all the same."""
    held, _ = inquest(tmp_path, on_device=True)
    writes(tmp_path, "CUDA out of memory: request refused")
    held.look()
    held.well()
    found = held.find("it hangs: no progress for 60 s", ours=True)
    assert (found.cause, found.reason) == (Cause.UNRESPONSIVE, "it hangs: no progress for 60 s")
    assert found.tail == ("CUDA out of memory: request refused",)


def test_what_it_said_while_it_was_asked_may_be_its_end(tmp_path: Path) -> None:
    """Its server answers a little longer than its engine lives."""
    held, _ = inquest(tmp_path)
    held.look()
    writes(tmp_path, "MemoryError")
    held.well()
    assert held.find("exited with status 1", ours=False).cause is Cause.OUT_OF_MEMORY


@pytest.mark.parametrize(("made", "cause"), [(False, Cause.DEVICE_LOST), (True, Cause.CRASHED)])
def test_only_a_token_shows_that_the_device_answers(tmp_path: Path, made: bool, cause: Cause) -> None:  # noqa: FBT001
    """`/health` is good without one: a device may be lost long before a request needs it."""
    held, _ = inquest(tmp_path, on_device=True)
    writes(tmp_path, "GPU is lost")
    held.look()
    (held.proved if made else held.well)()
    writes(tmp_path, "RuntimeError: CUDA error: unknown error")
    assert held.find("exited with status 1", ours=False).cause is cause


def test_of_a_log_that_was_cut_all_is_new(tmp_path: Path) -> None:
    """Nobody knows any more what was in it when the worker was well."""
    held, _ = inquest(tmp_path)
    writes(tmp_path, *["INFO"] * 100)
    held.look()
    held.proved()
    (tmp_path / "m-0.log").write_text("MemoryError\n")
    assert held.find("exited with status 1", ours=False).cause is Cause.OUT_OF_MEMORY


def test_each_start_has_its_own_log(tmp_path: Path) -> None:
    """And one that could not be made has none: what the one before wrote is not its end."""
    held, _ = inquest(tmp_path)
    writes(tmp_path, "MemoryError")
    held.find("exited with status 1", ours=False)
    assert held.find("no port is free", ours=False).reason == "no port is free"
