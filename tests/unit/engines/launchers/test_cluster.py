"""What a worker asks of Ray, and what its nodes are taken for."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines.environments.hardware import CPU, Hardware, Kind
from engines.launchers.cluster import (
    driver_environment,
    engine_environment,
    gpus,
    must_exist,
    node_address,
    nodes,
    wanted,
)
from engines.launchers.launcher import Prepared
from registry.cluster import RaySpec
from registry.spec import ModelSpec

HERE = Hardware(Kind.CUDA, 2, (13, 0))


def model(ray: RaySpec | None = None, engine: str = "vllm", **options: object) -> ModelSpec:
    fields = {"source": "/weights", "engine": engine, "launcher": "ray", "options": {engine: options}}
    return ModelSpec.model_validate(fields | ({"ray": ray} if ray else {}))


@pytest.mark.parametrize(
    ("spec", "device", "expected"),
    [
        (model(), "cpu", 0),
        (model(), "cuda", 1),
        (model(RaySpec(gpus=0.5)), "cuda", 0.5),
        (model(RaySpec(gpus=2)), "cpu", 2),
        (model(tensor_parallel_size=4), "cuda", 4),
        (model(tensor_parallel_size=4, pipeline_parallel_size=2), "cuda", 8),
        (model(engine="sglang", tp_size=2), "cuda", 2),
        (model(tensor_parallel_size=4, distributed_executor_backend="mp"), "cuda", 4),
        (model(tensor_parallel_size=4, distributed_executor_backend="ray"), "cuda", 0),
    ],
)
def test_a_worker_gets_the_gpus_that_its_engine_will_use(spec: ModelSpec, device: str, expected: float) -> None:
    """What the registry says goes first; an engine with Ray's own executor asks for its GPUs itself."""
    assert gpus(spec, device) == expected


def test_everything_that_ray_counts_is_asked_for() -> None:
    """In the spelling of Ray's actor options."""
    spec = model(RaySpec(cpus=2, gpus=1, resources={"rack_a": 0.5}, placement="pack"))
    expected = {
        "num_cpus": 2, "num_gpus": 1, "resources": {"rack_a": 0.5}, "scheduling_strategy": "DEFAULT",
    }  # fmt: skip
    assert wanted(spec, "cuda") == expected


def test_workers_are_spread_by_default() -> None:
    """A node that dies shall not take a whole pool with it."""
    assert wanted(model(), "cpu")["scheduling_strategy"] == "SPREAD"


def test_a_node_is_asked_for_the_paths_of_this_machine() -> None:
    """What is missing is named as people know it."""
    prepared = Prepared(Path("/cache/vllm-1/bin/python"), Path("/cache/weights/m"), "none")
    assert must_exist(prepared) == {
        "environment vllm-1 (/cache/vllm-1/bin/python)": "/cache/vllm-1/bin/python",
        "weights /cache/weights/m": "/cache/weights/m",
    }


@pytest.mark.parametrize(("host", "expected"), [("10.0.0.7", "10.0.0.7"), ("::1", "[::1]")])
def test_an_address_stands_in_a_url(host: str, expected: str) -> None:
    assert node_address(host) == expected


@pytest.mark.parametrize(
    ("spec", "here", "kind"),
    [
        (model(), HERE, Kind.CUDA),
        (model(), CPU, Kind.CPU),
        (model(RaySpec()), CPU, Kind.CPU),
        (model(RaySpec(gpus=1)), CPU, Kind.CUDA),
        (model(RaySpec(gpus=0)), HERE, Kind.CPU),
        (model(RaySpec(gpus=0), distributed_executor_backend="ray"), CPU, Kind.CUDA),
    ],
)
def test_nodes_have_what_the_registry_asks_them_for(spec: ModelSpec, here: Hardware, kind: Kind) -> None:
    """A head without a GPU prepares workers for one; where nothing is said, nodes are like this machine."""
    assert nodes(spec, here).kind is kind


def test_a_named_environment_is_taken_for_one_that_suits_the_nodes() -> None:
    """Only they know."""
    fields = {"source": "/w", "engine": "vllm", "launcher": "ray", "ray": {}, "environments": {"vllm": "vllm"}}
    assert nodes(ModelSpec.model_validate(fields), CPU).kind is Kind.CUDA


def test_the_driver_sees_the_operators_settings_of_ray() -> None:
    """And reports nothing to Ray's makers, unless the operator wants it to."""
    env = {"RAY_AUTH_MODE": "token", "SECRET": "x"}
    found = driver_environment({"PATH": "/bin"}, env)
    assert found == {"RAY_USAGE_STATS_ENABLED": "0", "PYTHONUNBUFFERED": "1", "PATH": "/bin", "RAY_AUTH_MODE": "token"}
    assert driver_environment({}, {"RAY_USAGE_STATS_ENABLED": "1"})["RAY_USAGE_STATS_ENABLED"] == "1"


def test_devices_of_this_machine_mean_nothing_to_a_node() -> None:
    env = {"CUDA_VISIBLE_DEVICES": "3", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    assert engine_environment(env) == {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
