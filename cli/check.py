"""`enginehouse check`: every fault of a registry file, each with its line, and the memory that its models need."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from cli.folders import REGISTRY, STATE, CacheOption, JsonOption, StateOption, cache_folder
from cli.memory import Here, MemoryPlan, as_notes, as_table, planned
from cli.memory import for_json as memory_for_json
from cli.parsing import misread
from cli.registry import impossible, located, unsuited
from cli.stored import stored
from engines.environments.hardware import detect
from engines.store.failures import StoreFailed
from engines.supervisor.memory import read as measures
from registry.load import Fault, RegistryRefused, load
from registry.misgivings import misgivings
from registry.spec import Registry

_WIDE: Final = 160
"""Columns where no terminal says how many there are."""


def check(
    registry: Path = typer.Argument(REGISTRY, help="The registry file."),
    state: StateOption = STATE,
    cache: CacheOption = None,
    as_json: JsonOption = False,
    parser: Annotated[bool, typer.Option("--parser/--no-parser", help="Ask the engines' own parsers: seconds.")] = True,
) -> None:
    """Report every fault of a registry file with its line, and the memory plan; exit 1 if there is any fault."""
    here = Here(
        cache=cache_folder(cache, os.environ),
        folder=registry.absolute().parent,
        env=os.environ,
        measures=measures(state / "memory.json"),
    )
    found = examine(registry, here, parser=parser, state=state)
    if as_json:
        typer.echo(for_json(found))
    else:
        typer.echo(as_text(registry, found.faults, found.models))
        for note in found.notes:
            typer.echo(f"note: {note}")
        show(found.memory, refused=False)
    if found.faults:
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class Found:
    """All that there is to say of a registry. `memory` is None where it could not even be read."""

    faults: tuple[Fault, ...]
    notes: tuple[str, ...] = ()
    models: int = 0
    memory: MemoryPlan | None = None


def examine(path: Path, here: Here, *, parser: bool = False, state: Path = STATE) -> Found:
    """The registry at `path`, held against its rules, the engines', this machine, and the adapters of `state`."""
    try:
        return _examined(load(path, here.env), path, here, state, parser=parser)
    except RegistryRefused as refused:
        return Found(refused.faults)


def _examined(registry: Registry, path: Path, here: Here, state: Path, *, parser: bool) -> Found:
    faults = impossible(registry, path, here.env)
    notes, models = (*unsuited(registry, detect()), *doubtful(registry, state)), len(registry.models)
    if faults:
        return Found(faults, notes, models)
    memory = planned(registry, here)
    misreadings, unasked = misread(registry, path, here.env, here.cache) if parser else ((), ())
    return Found((*misreadings, *located(memory.refusals(), path, here.env)), (*unasked, *notes), models, memory)


def doubtful(registry: Registry, state: Path) -> tuple[str, ...]:
    """What it says of adapters and hardly means, by those that the state folder has."""
    if registry.store is not None:
        return ()  # other hosts may have added what this one has not heard of yet
    try:
        found = misgivings(registry, stored(state))
    except StoreFailed as failed:
        return (f"which adapters there are cannot be looked up: {failed}",)
    return tuple(f"{model}: {said}" for model, each in found.items() for said in each)


def show(memory: MemoryPlan | None, *, refused: bool = True) -> None:
    """The table, as wide as it needs to be, and what is not in it, with or without what is `refused`."""
    for note in as_notes(memory, refused=refused) if memory else ():
        typer.echo(f"note: {note}")
    table = as_table(memory) if memory else None
    if table is not None and table.row_count:
        console = Console()
        (console if console.is_terminal else Console(width=_WIDE)).print(table)


def as_text(path: Path, faults: tuple[Fault, ...], models: int) -> str:
    """A line for each fault, as compilers write them; or one that says how much is right."""
    if faults:
        count = f"{len(faults)} fault{'s' if len(faults) != 1 else ''}"
        return "\n".join([*map(str, faults), f"{path}: {count}"])
    return f"{path}: no faults in {models} model{'s' if models != 1 else ''}"


def for_json(found: Found) -> str:
    """The same for programs."""
    listed = [{"path": str(fault.path), "line": fault.line, "message": fault.message} for fault in found.faults]
    memory = memory_for_json(found.memory) if found.memory else []
    return json.dumps({"ok": not found.faults, "faults": listed, "notes": found.notes, "memory": memory}, indent=2)
