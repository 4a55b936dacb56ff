"""What is remembered of keepers, and who is not mistaken for one."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from engines.processes import sessions
from engines.processes.leftovers import Kept, Leftovers


def test_a_pid_that_was_given_out_again_is_spared(tmp_path: Path) -> None:
    """The pid on record is that of the running test, which survives."""
    path = tmp_path / "workers.json"
    path.write_bytes(msgspec.json.encode([Kept(os.getpid(), birth=1, boot=sessions.boot())]))
    assert Leftovers(path).clear() == 0


def test_another_boot_has_left_nothing(tmp_path: Path) -> None:
    path = tmp_path / "workers.json"
    birth = sessions.birth(os.getpid()) or 0
    path.write_bytes(msgspec.json.encode([Kept(os.getpid(), birth, boot="another")]))
    assert Leftovers(path).clear() == 0


def test_a_damaged_record_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "workers.json").write_bytes(b'[{"pid"')
    assert Leftovers(tmp_path / "workers.json").clear() == 0


def test_what_runs_is_on_record(tmp_path: Path) -> None:
    path = tmp_path / "workers.json"
    left = Leftovers(path)
    left.add(os.getpid())
    assert [kept.pid for kept in msgspec.json.decode(path.read_bytes(), type=list[Kept])] == [os.getpid()]
    left.remove(os.getpid())
    assert path.read_bytes() == b"[]"


def test_a_record_that_cannot_be_read_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "workers.json").mkdir()
    assert Leftovers(tmp_path / "workers.json").clear() == 0
