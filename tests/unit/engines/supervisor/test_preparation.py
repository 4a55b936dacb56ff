"""Environment and weights as one: made side by side, and every failure is a `PreparationFailed`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from engines.environments.environment import Environment, EnvironmentFailed
from engines.environments.hardware import CPU, Hardware, Kind
from engines.progress import silent
from engines.supervisor.preparation import preparing
from engines.supervisor.settings import ServeSettings
from engines.supervisor.shared import PreparationFailed
from engines.weights.failures import NoSpace
from engines.weights.prepare import Checkpoint, WeightsRequest
from registry.spec import ModelSpec

SETTINGS = ServeSettings(Path("/etc/house/r.yaml"), cache=Path("/cache"), env={"HOME": "/h"})
SPEC = ModelSpec(engine="vllm", source="./weights", quantization="int4")


async def install(name, cache, report, *, environ):  # noqa: ARG001 (a fake)
    return Environment(name, cache / name, cache / name / "bin/python", "d")


async def weigh(request, cache, report, *, environ):  # noqa: ARG001 (a fake)
    return Checkpoint(cache / request.name, "d", request.layout.name)


def on_cpu() -> Hardware:
    return CPU


async def full_disk(*_, **__):
    raise NoSpace("the disk is full")


async def no_network(*_, **__):
    raise EnvironmentFailed("no network")


async def test_a_worker_starts_from_both() -> None:
    prepared = await preparing(SETTINGS, install, weigh, on_cpu)("m", SPEC, silent)
    found = (prepared.python, prepared.weights, prepared.layout, prepared.device)
    assert found == (Path("/cache/vllm-cpu/bin/python"), Path("/cache/m"), "awq", "cpu")


async def test_they_are_made_side_by_side() -> None:
    """Each waits for the other to have begun."""
    begun = asyncio.Barrier(2)

    async def installing(*args, **options):
        await begun.wait()
        return await install(*args, **options)

    async def weighing(*args, **options):
        await begun.wait()
        return await weigh(*args, **options)

    assert await preparing(SETTINGS, installing, weighing, on_cpu)("m", SPEC, silent)


@pytest.mark.parametrize(
    ("installing", "weighing", "why"), [(no_network, weigh, "no net"), (install, full_disk, "full")]
)
async def test_each_failure_is_told(installing, weighing, why: str) -> None:
    with pytest.raises(PreparationFailed, match=why):
        await preparing(SETTINGS, installing, weighing, on_cpu)("m", SPEC, silent)


async def test_what_cannot_be_packed_is_refused_before_any_work() -> None:
    spec = SPEC.model_copy(update={"environments": {"vllm": "vllm-tpu"}})
    with pytest.raises(PreparationFailed, match="vllm-tpu"):
        await preparing(SETTINGS, full_disk, full_disk)("m", spec, silent)


async def test_a_relative_source_starts_at_the_registry_file() -> None:
    asked: list[WeightsRequest] = []

    async def weighing(request, *args, **options):
        asked.append(request)
        return await weigh(request, *args, **options)

    await preparing(SETTINGS, install, weighing)("m", SPEC, silent)
    assert asked[0].folder == Path("/etc/house")


async def test_what_this_machine_cannot_run_is_refused_before_anything_is_fetched() -> None:
    """LMDeploy has no CPU path; the reason names what would work."""
    spec = ModelSpec(engine="lmdeploy", source="./weights")
    with pytest.raises(PreparationFailed, match=r"needs an NVIDIA GPU.*vllm-cpu"):
        await preparing(SETTINGS, no_network, full_disk, on_cpu)("m", spec, silent)


async def test_an_engine_gets_the_build_for_the_hardware() -> None:
    """The same line of the registry, another environment."""
    spec = ModelSpec(engine="vllm", source="./weights", quantization="int4")
    prepared = await preparing(SETTINGS, install, weigh, lambda: Hardware(Kind.CUDA, 1, (13, 0)))("m", spec, silent)
    assert (prepared.python, prepared.device) == (Path("/cache/vllm/bin/python"), "cuda")
