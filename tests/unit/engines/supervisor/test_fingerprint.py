"""Workers have equal fingerprints exactly if they make the same tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engines.launchers.launcher import Prepared, Seat
from engines.supervisor.fingerprint import fingerprint
from engines.vllm import VLLM
from registry.spec import ModelSpec

PREPARED = Prepared(Path("/cache/environments/vllm-1/bin/python"), Path("/cache/checkpoints/abc"), "awq")


def seat(number: int = 0, prepared: Prepared | None = PREPARED, **spec: Any) -> Seat:
    if prepared is not None:
        spec = {"source": "./weights"} | spec
    return Seat("m", number, ModelSpec(engine="vllm", **spec), VLLM, prepared)


def test_the_seats_of_one_pool_are_twins() -> None:
    """Whatever their number."""
    assert fingerprint(seat(0)) == fingerprint(seat(1)) != ""


@pytest.mark.parametrize(
    "other",
    [
        seat(prepared=Prepared(PREPARED.python, Path("/cache/checkpoints/def"), "awq")),
        seat(prepared=Prepared(PREPARED.python, PREPARED.weights, "gptq")),
        seat(prepared=Prepared(Path("/cache/environments/vllm-2/bin/python"), PREPARED.weights, "awq")),
        seat(options={"vllm": {"dtype": "float32"}}),
        seat(context=512),
    ],
    ids=["weights", "layout", "environment", "options", "context"],
)
def test_what_tokens_depend_on_is_in_it(other: Seat) -> None:
    """Another revision, quantization, engine build or precision."""
    assert fingerprint(other) != fingerprint(seat())


def test_external_workers_are_what_the_registry_says() -> None:
    """Several addresses for one model are promised to be alike."""
    urls = ("http://a:1", "http://b:1")
    external = [seat(n, None, launcher="external", urls=urls) for n in (0, 1)]
    assert fingerprint(external[0]) == fingerprint(external[1]) != ""


def test_behind_a_parser_nobody_has_a_twin() -> None:
    """What it swallows, a continuation by token ids would show."""
    assert fingerprint(seat(options={"vllm": {"tool_call_parser": "glm47"}})) == ""
    assert not VLLM.continues({"reasoning-parser": "qwen3"})
