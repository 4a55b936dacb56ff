"""Logs of pools long gone do not pile up."""

from __future__ import annotations

from dataclasses import replace

from engines.launchers.launcher import Seat
from engines.launchers.logs import log_of
from engines.vllm import VLLMEngine
from registry.spec import ModelSpec

SEAT = Seat("org/m", 0, ModelSpec(engine="vllm", source="./w"), VLLMEngine(), None)


def test_the_logs_of_the_last_three_pools_are_kept(tmp_path):
    """Both of each: a start keeps the log before it."""
    for generation in range(1, 6):
        log = log_of(replace(SEAT, generation=generation), tmp_path)
        log.touch()
        log.with_name(f"{log.name}.1").touch()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"org-m-g{generation}-0.log{old}" for generation in (3, 4, 5) for old in ("", ".1")
    ]


def test_other_seats_and_models_are_left_alone(tmp_path):
    others = [tmp_path / "org-m-1.log", tmp_path / "m-0.log", tmp_path / "gateway-0.log"]
    for path in others:
        path.touch()
    log_of(replace(SEAT, generation=9), tmp_path)
    assert all(path.exists() for path in others)
