"""Adapters that are put into a folder: taken once, and only when they are whole."""

from __future__ import annotations

import os
from pathlib import Path

from engines.ledger.watchfolder import WatchFolder
from tests import lora


def small(place: Path, alpha: int = 8) -> Path:
    return lora.write(place, lora.config(r=1, lora_alpha=alpha), lora.tensors(layers=1, rank=1))


def looked(watched: WatchFolder, folder: Path, times: int) -> list[list[tuple[str, Path]]]:
    return [[(each.adapter, each.path) for each in watched.arrivals(folder)] for _ in range(times)]


def test_one_is_taken_at_the_second_look_and_never_again(tmp_path: Path) -> None:
    """Not after a restart either, once it is settled; another state of it is another one."""
    watched, folder = WatchFolder(tmp_path / "note"), tmp_path / "in"
    place = small(folder / "pirate")
    assert watched.arrivals(folder) == ()
    (arrival,) = watched.arrivals(folder)
    watched.settle(arrival)
    assert (arrival[:2], watched.arrivals(folder)) == (("pirate", place), ())
    again = WatchFolder(tmp_path / "note")
    assert looked(again, folder, 2) == [[], []]
    small(place, 16)
    assert looked(again, folder, 3) == [[], [("pirate", place)], []]
    assert (watched.newest(arrival), again.newest(arrival)) == (True, False)


def test_a_kill_before_it_was_settled_costs_a_second_look_not_the_adapter(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    place = small(folder / "pirate")
    for _ in range(2):
        assert looked(WatchFolder(tmp_path / "note"), folder, 3) == [[], [("pirate", place)], []]


def test_two_folders_are_watched_by_turns(tmp_path: Path) -> None:
    watched = WatchFolder(tmp_path / "note")
    folders = [small(tmp_path / name / name).parent for name in ("a", "b")]
    found = [[(each.adapter) for each in watched.arrivals(folder)] for _ in range(3) for folder in folders]
    assert found == [[], [], ["a"], ["b"], [], []]


def test_what_is_still_being_written_is_left_alone(tmp_path: Path) -> None:
    """One file of two; a half; one that grows between two looks; a hidden one; no adapter at all."""
    watched, folder = WatchFolder(tmp_path / "note"), tmp_path / "in"
    small(folder / "one") / "x"
    (folder / "one/adapter_config.json").unlink()
    half = small(folder / "half") / "adapter_model.safetensors"
    half.write_bytes(half.read_bytes()[:-1])
    small(folder / ".hidden")
    (folder / "notes.txt").write_text("x")
    growing = folder / "growing.zip"
    for size in range(5):
        growing.write_bytes(b"x" * size)
        assert watched.arrivals(folder) == ()


def test_what_is_no_file_is_left_to_the_doctor(tmp_path: Path) -> None:
    """A pipe is not waited for, and keeps nothing else out."""
    watched, folder = WatchFolder(tmp_path / "note"), tmp_path / "in"
    (small(folder / "pipe") / "adapter_model.safetensors").unlink()
    os.mkfifo(folder / "pipe/adapter_model.safetensors")
    os.mkfifo(folder / "pipe.tar")
    small(folder / "sound")
    assert [[name for name, _ in found] for found in looked(watched, folder, 2)] == [[], ["pipe", "sound"]]


def test_a_folder_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert WatchFolder(tmp_path / "note").arrivals(tmp_path / "nowhere") == ()
