"""`enginehouse pull`: makes what models need, environments and weights, without serving them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cli.folders import REGISTRY, CacheOption, RegistryOption, cache_folder
from cli.mistake import Mistake
from cli.registry import read_registry
from cli.show import showing, size
from engines.progress import Report
from engines.supervisor.preparation import preparing
from engines.supervisor.settings import ServeSettings
from engines.supervisor.shared import PreparationFailed, Prepare
from engines.weights.prune import Pruned, octets_in, prune
from registry.spec import ModelSpec, Registry


def pull(
    models: Annotated[list[str] | None, typer.Argument(help="Which models; all if none is named.")] = None,
    registry: RegistryOption = REGISTRY,
    cache: CacheOption = None,
    refresh: Annotated[bool, typer.Option("--refresh", help="Ask hubs again whether a revision has moved.")] = False,
    prune_to: Annotated[
        str | None,
        typer.Option("--prune", metavar="SIZE", help="Then make the cache of weights fit: 200GB. Nothing in use goes."),
    ] = None,
) -> None:
    """Fetch, convert and quantize weights and install engines, so that serving starts at once."""
    wanted = chosen(read_registry(registry, os.environ), models or [], registry)
    limit = _octets(prune_to)
    settings = ServeSettings(registry, cache=cache_folder(cache, os.environ), env=dict(os.environ))
    prepare = preparing(settings, refresh=refresh)
    with showing(Console()) as report:
        failures = asyncio.run(fetch(wanted, prepare, report))
    if limit is not None:
        typer.echo(pruned(prune(settings.cache, limit)))
    if failures:
        raise Mistake("\n".join(failures), exit_code=1)
    typer.echo(f"everything is in place for {', '.join(wanted) or 'no model: none is started here'}")


def _octets(written: str | None) -> int | None:
    try:
        return octets_in(written) if written is not None else None
    except ValueError as fault:
        raise Mistake(f"--prune: {fault}") from None


def pruned(done: Pruned) -> str:
    """What became of the cache."""
    gone = sum(entry.octets for entry in done.removed)
    busy = f"; {done.in_use} more are in use" if done.in_use else ""
    return f"removed {len(done.removed)} unused from the cache ({size(gone)}); its weights take {size(done.left)}{busy}"


def chosen(registry: Registry, names: Sequence[str], path: Path) -> dict[str, ModelSpec]:
    """The models of these names or aliases, or all; only those whose workers are started here need anything."""
    known = {alias: name for name, spec in registry.models.items() for alias in (name, *spec.aliases)}
    if unknown := [name for name in names if name not in known]:
        raise Mistake(f"{path} has no model {', '.join(unknown)}; it has {', '.join(registry.models)}")
    asked = {known[name] for name in names} or set(registry.models)
    return {name: spec for name, spec in registry.models.items() if name in asked and spec.source is not None}


async def fetch(wanted: Mapping[str, ModelSpec], prepare: Prepare, report: Report) -> list[str]:
    """Prepare all of `wanted` side by side, each to its end whatever becomes of the others. Returns what failed."""

    async def one(name: str, spec: ModelSpec) -> str | None:
        try:
            await prepare(name, spec, report)
        except PreparationFailed as failed:
            return str(failed)
        return None

    done = await asyncio.gather(*(one(name, spec) for name, spec in wanted.items()))
    return [failure for failure in done if failure is not None]
