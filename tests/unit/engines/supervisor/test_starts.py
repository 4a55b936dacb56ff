"""How long a start is expected to take, by those before it."""

from __future__ import annotations

from pathlib import Path

from engines.supervisor.milestones import USUAL_START
from engines.supervisor.starts import StartTimes


def test_a_start_takes_as_long_as_the_last_one(tmp_path: Path) -> None:
    """Also in the next supervisor's life; however large the weights are."""
    StartTimes(tmp_path / "starts.json").record("small", 12.34)
    assert StartTimes(tmp_path / "starts.json").expected("small", weights=10**12) == 12.3


def test_where_nothing_ever_started_it_takes_the_usual_time(tmp_path: Path) -> None:
    assert StartTimes(tmp_path / "starts.json").expected("small") == USUAL_START


def test_large_weights_take_longer(tmp_path: Path) -> None:
    """16 GB from a plain disk."""
    assert StartTimes(tmp_path / "starts.json").expected("large", weights=16 * 10**9) == USUAL_START + 80


def test_where_others_were_slow_so_is_a_new_one(tmp_path: Path) -> None:
    """A slow machine is slow for every model; a quick start of another says little."""
    starts = StartTimes(tmp_path / "starts.json")
    starts.record("quick", 5.0)
    assert starts.expected("new") == USUAL_START
    starts.record("slow", 200.0)
    assert starts.expected("new") == 200


def test_a_file_that_is_broken_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / "starts.json").write_text("[")
    assert StartTimes(tmp_path / "starts.json").expected("small") == USUAL_START


def test_a_record_that_cannot_be_read_is_no_record(tmp_path: Path) -> None:
    (tmp_path / "starts.json").mkdir()
    assert StartTimes(tmp_path / "starts.json").expected("small") == USUAL_START
