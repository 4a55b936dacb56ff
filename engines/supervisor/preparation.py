"""From a model of the registry to what its workers are started from: environment and weights, made side by side.

The one place where `environments` and `weights` meet the supervisor; their errors become `PreparationFailed`.
Called by `pool`, and by `enginehouse pull`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol

from engines.environments.environment import Environment, EnvironmentFailed, ensure
from engines.environments.hardware import Hardware, Unsuited, detect, device_of, environment_for, require
from engines.launchers.cluster import nodes
from engines.launchers.launcher import Prepared
from engines.progress import Report
from engines.quantize.rules import LayoutRefused, resolve
from engines.supervisor.settings import ServeSettings
from engines.supervisor.shared import PreparationFailed, Prepare
from engines.weights.architecture import unknown
from engines.weights.failures import WeightsFailed
from engines.weights.prepare import Checkpoint, WeightsRequest, requested
from engines.weights.prepare import prepare as prepare_weights
from engines.weights.uses import Uses
from registry.spec import ModelSpec


class Install(Protocol):
    """`environments.ensure`, or a test's."""

    async def __call__(self, name: str, cache: Path, report: Report, *, environ: Mapping[str, str]) -> Environment: ...


class Weigh(Protocol):
    """`weights.prepare`, or a test's."""

    async def __call__(
        self, request: WeightsRequest, cache: Path, report: Report, *, environ: Mapping[str, str]
    ) -> Checkpoint: ...


def preparing(
    settings: ServeSettings,
    install: Install = ensure,
    weigh: Weigh = prepare_weights,
    hardware: Callable[[], Hardware] = detect,
    *,
    refresh: bool = False,
) -> Prepare:
    """A `Prepare` that works in the cache of these settings. `refresh`: hubs are asked again whatever is in it.

    What it prepared stays in the cache as long as this process lives: a pool that drains still reads it.
    """
    uses = Uses(settings.cache)

    async def prepare(name: str, spec: ModelSpec, report: Report) -> Prepared:
        machine = nodes(spec, hardware())
        environment = spec.environment or environment_for(spec.engine, machine)
        request = replace(_request(name, spec, environment, settings), refresh=refresh)
        try:
            require(environment, machine)
        except Unsuited as unsuited:
            raise PreparationFailed(str(unsuited)) from unsuited
        faults: list[str] = []
        try:
            async with asyncio.TaskGroup() as group:
                installing = group.create_task(install(environment, settings.cache, report, environ=settings.env))
                weighing = group.create_task(weigh(request, settings.cache, report, environ=settings.env))
        except* (EnvironmentFailed, WeightsFailed, OSError) as failed:
            faults += [str(fault) for fault in failed.exceptions]
        if faults:
            raise PreparationFailed("; ".join(faults))
        made, weights = installing.result(), weighing.result()
        if not uses.take(weights.path):
            raise PreparationFailed(f"{weights.path} was removed from the cache this moment: it is made again")
        loads = partial(unknown, trust_remote_code=spec.trust_remote_code)
        if fault := await asyncio.to_thread(loads, weights.path, spec.engine, made.root):
            raise PreparationFailed(f"{spec.source}: {fault}")
        return Prepared(made.python, weights.path, weights.layout, device_of(environment))

    return prepare


def _request(name: str, spec: ModelSpec, environment: str, settings: ServeSettings) -> WeightsRequest:
    if spec.source is None:
        raise PreparationFailed(f"{name} has no source")
    try:
        layout = resolve(spec.quantization, spec.engine, environment, adapters=spec.adapters.slots > 0)
    except LayoutRefused as refused:
        raise PreparationFailed(str(refused)) from refused
    return requested(name, spec, layout, settings.registry_path.absolute().parent)
