"""Adapters that are put into a folder: taken once, and only when they are whole."""

from __future__ import annotations

from pathlib import Path

from engines.ledger.watchfolder import WatchFolder
from tests import lora


def small(place: Path, alpha: int = 8) -> Path:
    return lora.write(place, lora.config(r=1, lora_alpha=alpha), lora.tensors(layers=1, rank=1))


def test_one_is_taken_at_the_second_look_and_never_again(tmp_path: Path) -> None:
    """Not after a restart either; another state of it is another one."""
    watched, folder = WatchFolder(tmp_path / "note"), tmp_path / "in"
    place = small(folder / "pirate")
    assert [watched.arrivals(folder) for _ in range(3)] == [(), (("pirate", place),), ()]
    again = WatchFolder(tmp_path / "note")
    assert [again.arrivals(folder) for _ in range(2)] == [(), ()]
    small(place, 16)
    assert [again.arrivals(folder) for _ in range(3)] == [(), (("pirate", place),), ()]


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


def test_a_folder_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert WatchFolder(tmp_path / "note").arrivals(tmp_path / "nowhere") == ()
