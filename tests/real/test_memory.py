"""The memory planner against the real engine: its figures, vLLM's log, and what the kernel says was taken."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import pytest

from engines.supervisor import footprint
from engines.supervisor.memory import read
from tests.real.house import COMMAND, DEFAULT, House
from tests.waiting import until

pytestmark = [pytest.mark.real, pytest.mark.timeout(1800)]

GIB = 1024**3


@pytest.fixture
def log(house: House) -> str:
    """All that this house's vLLM has written since it was started last."""
    path = house.state / "logs/smollm2-135m-0.log"
    return path.read_text(errors="replace")


def planned(*words: str) -> dict[str, Any]:
    """The default model's row of `enginehouse check --json`."""
    argv = [COMMAND, "check", str(DEFAULT), "--no-parser", "--json", *words]
    (row,) = json.loads(subprocess.run(argv, capture_output=True, check=True).stdout)["memory"]
    return row


def found(pattern: str, log: str) -> float:
    (figure,) = re.search(pattern, log).groups()
    return float(figure.replace(",", ""))


def test_the_caches_tokens_are_those_of_the_engines_log(house: House, log: str):  # noqa: ARG001 - it made the log
    """Within 2 %; to the token, in fact."""
    tokens = found(r"CPU KV cache size: ([\d,]+) tokens", log)
    assert planned()["kv_cache_tokens"] == pytest.approx(tokens, rel=0.02)


def test_the_weights_are_those_of_the_engines_log(house: House, log: str):  # noqa: ARG001 - it made the log
    """Within 2 %, and the half of the hundredth of a GiB to which vLLM rounds."""
    told = found(r"Checkpoint size: ([\d.]+) GiB", log)
    assert planned()["weights"] / GIB == pytest.approx(told, rel=0.02, abs=0.005)


def test_even_before_any_measurement_the_total_is_near(house: House, tmp_path):
    """Without calibration: the shipped overhead, on whatever machine this is."""
    row = planned("--state", str(tmp_path))
    taken = until(lambda: footprint.taken(house.worker().pid, "cpu"), what="a worker to measure")
    assert row["each"] == pytest.approx(taken, rel=0.25)


def test_once_calibrated_the_total_is_within_a_tenth_of_what_is_taken(house: House):
    """The house measured its worker when it was ready, and kept it; the next plan is right, whatever runs meanwhile."""
    kept = until(lambda: read(house.state / "memory.json"), what="a measurement")
    assert "smollm2-135m vllm awq cpu" in kept
    row = planned("--state", str(house.state))
    taken = until(lambda: footprint.taken(house.worker().pid, "cpu"), what="a worker to measure")
    assert row["each"] == pytest.approx(taken, rel=0.10)
