"""What a seat knows of its worker before there is one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from engines.launchers.launcher import LaunchFailed, Prepared, Seat
from engines.vllm import VLLM
from registry.spec import ModelSpec

PREPARED = Prepared(Path("/py"), Path("/w"), "gptq", "cuda", kv_cache=5, gpus=((0, 1), (2, 3)))
SPEC = ModelSpec(engine="vllm", source="/w", context=64, options={"vllm": {"seed": 1}})
SEAT = Seat("org/m", 1, SPEC, VLLM, PREPARED)


def test_a_seat_has_its_own_gpus() -> None:
    """One beyond those that were planned shares with the first."""
    assert [replace(SEAT, number=number).gpus for number in range(3)] == [(0, 1), (2, 3), (0, 1)]
    assert replace(SEAT, prepared=None).gpus == ()


def test_a_command_line_is_built_from_what_was_prepared_and_where_it_goes() -> None:
    plan = SEAT.plan("10.0.0.1", 99, "key")
    assert (plan.host, plan.port, plan.key, plan.served_name) == ("10.0.0.1", 99, "key", "org/m")
    assert (plan.weights, plan.layout, plan.device, plan.kv_cache) == (Path("/w"), "gptq", "cuda", 5)
    assert (plan.context, plan.options) == (64, {"seed": 1})


def test_nothing_is_started_from_nothing() -> None:
    with pytest.raises(LaunchFailed, match="org-m-1: a worker of ours needs an environment and weights"):
        replace(SEAT, prepared=None).plan("h", 1, "")
