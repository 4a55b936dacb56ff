"""What a model's workers ask of a Ray cluster, and what its nodes are taken for. Pure. Called by `ray`, `preparation`
and the CLI.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from engines.environments.hardware import CPU, Hardware, Kind
from engines.launchers.launcher import Prepared
from registry.cluster import RaySpec
from registry.spec import ModelSpec

_PARALLEL: Final = ("tensor_parallel_size", "pipeline_parallel_size", "tp_size", "pp_size", "tp")
"""Options of all engines that multiply the GPUs of one worker."""
_EXECUTOR: Final = "distributed_executor_backend"
_STRATEGIES: Final = {"spread": "SPREAD", "pack": "DEFAULT"}
_SOME_GPU: Final = Hardware(Kind.CUDA, 1, (99, 0))
"""A GPU whose driver is new enough: what a node has is known to Ray alone."""


def gpus(spec: ModelSpec, device: str) -> float:
    """GPUs that Ray shall set aside for one worker: as the registry says, else as many as its engine will use.

    An engine that places its own parts by Ray's executor asks for their GPUs itself.
    """
    asked, options = (spec.ray or RaySpec()).gpus, spec.engine_options
    if asked is not None:
        return asked
    if device == "cpu" or options.get(_EXECUTOR) == "ray":
        return 0
    return math.prod(size for name in _PARALLEL if isinstance(size := options.get(name, 1), int))


def wanted(spec: ModelSpec, device: str) -> dict[str, object]:
    """The options of the actor that is to hold one worker. Source: `ray.actor.ActorClass.options`."""
    ray = spec.ray or RaySpec()
    return {
        "num_cpus": ray.cpus,
        "num_gpus": gpus(spec, device),
        "resources": dict(ray.resources),
        "scheduling_strategy": _STRATEGIES[ray.placement],
    }


def must_exist(prepared: Prepared) -> dict[str, str]:
    """By what it is in words: each path that a node needs, as it is called here."""
    return {
        f"environment {_named(prepared.python)} ({prepared.python})": str(prepared.python),
        f"weights {prepared.weights}": str(prepared.weights),
    }


def node_address(host: str) -> str:
    """As it stands in a URL."""
    return f"[{host}]" if ":" in host else host


def nodes(spec: ModelSpec, here: Hardware) -> Hardware:
    """What a model's workers run on: this machine, or nodes that have what the registry asks them for."""
    if spec.ray is None:
        return here
    if spec.environment or spec.ray.gpus or spec.engine_options.get(_EXECUTOR) == "ray":
        return _SOME_GPU
    return here if spec.ray.gpus is None else CPU


def driver_environment(scrubbed: Mapping[str, str], env: Mapping[str, str]) -> dict[str, str]:
    """What the program that talks with the cluster sees: the operator's settings of Ray (TLS, tokens, a namespace).

    Ray reports its use to its makers unless it is told not to.
    """
    operators = {name: value for name, value in env.items() if name.startswith("RAY_")}
    return {"RAY_USAGE_STATS_ENABLED": "0", "PYTHONUNBUFFERED": "1", **scrubbed, **operators}


def engine_environment(env: Mapping[str, str]) -> dict[str, str]:
    """An engine's variables without those that speak of this machine's devices: the node has its own."""
    return {name: value for name, value in env.items() if not name.endswith("_VISIBLE_DEVICES")}


def _named(python: Path) -> str:
    return python.parent.parent.name
