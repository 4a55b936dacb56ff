"""Workers on Ray, as far as they are decided here: what is said to the program, and what is refused before."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from engines.environments.environment import EnvironmentFailed
from engines.launchers.launcher import LaunchFailed, Prepared, Seat
from engines.launchers.ray import Launching, Ray, interpreter
from engines.processes.keeping import Keeping
from engines.processes.leftovers import Leftovers
from engines.progress import silent
from engines.vllm import VLLM
from registry.spec import ModelSpec

PREPARED = Prepared(Path("/cache/vllm/bin/python"), Path("/w"), "none")


def seat(prepared: Prepared | None = PREPARED, **options: object) -> Seat:
    spec = {"source": "/w", "engine": "vllm", "launcher": "ray", "options": {"vllm": options}}
    return Seat("m", 0, ModelSpec.model_validate(spec), VLLM, prepared)


def launcher(folder: Path) -> Ray:
    async def none() -> Path:
        raise EnvironmentFailed("pip failed")

    return Ray(Keeping({}, folder, 1.0, asyncio.Event(), Leftovers(folder / "workers.json")), none)


def test_an_engine_is_started_at_its_nodes_address() -> None:
    """With its key in a variable, and without this machine's devices."""
    env = {"PATH": "/bin", "ENGINEHOUSE_API_KEY": "secret", "CUDA_VISIBLE_DEVICES": "3"}
    said = Launching(env, 7.0).message(seat(), "10.0.0.7", 99, "key")
    assert {"--host=10.0.0.7", "--port=99", "--model=/w"} <= set(said["argv"])
    assert (said["env"]["VLLM_API_KEY"], said["grace"]) == ("key", 7.0)
    assert "key" not in said["argv"]
    assert not {"ENGINEHOUSE_API_KEY", "CUDA_VISIBLE_DEVICES"} & set(said["env"])
    assert "def main(argv" in said["keeper"]


async def test_the_operator_may_name_the_python_that_speaks_with_his_cluster(tmp_path: Path) -> None:
    """Both ends of Ray need the same versions; nothing is installed then."""
    assert await interpreter(tmp_path, silent, {"ENGINEHOUSE_RAY_PYTHON": "/ray/python"}) == Path("/ray/python")


@pytest.mark.parametrize(
    ("taken", "said"),
    [
        (seat(None), "m-0: a worker on Ray needs an environment and weights"),
        (seat(stop=("a", "-b")), "options.vllm.stop: '-b' in a list begins with a dash"),
        (seat(), "pip failed"),
    ],
)
async def test_what_cannot_be_started_is_said_before_a_place_is_sought(tmp_path: Path, taken: Seat, said: str) -> None:
    """As a launcher says it, so that the worker's life goes on by its rules."""
    with pytest.raises(LaunchFailed, match=said):
        async with launcher(tmp_path).place(taken):
            pass
