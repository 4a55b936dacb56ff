"""`enginehouse check`: every fault of a registry file, each with its line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import typer

from cli.folders import REGISTRY, JsonOption
from cli.registry import impossible, unsuited
from engines.environments.hardware import detect
from registry.load import Fault, RegistryRefused, load
from registry.spec import Registry


def check(
    registry: Path = typer.Argument(REGISTRY, help="The registry file."),
    as_json: JsonOption = False,
) -> None:
    """Report every fault of a registry file with its line; exit 1 if there is any."""
    loaded: Registry | None = None
    faults: tuple[Fault, ...] = ()
    try:
        loaded = load(registry, os.environ)
        faults = impossible(loaded, registry, os.environ)
    except RegistryRefused as refused:
        faults = refused.faults
    notes = unsuited(loaded, detect()) if loaded else ()
    typer.echo(as_data(faults, notes) if as_json else as_text(registry, faults, len(loaded.models) if loaded else 0))
    for note in () if as_json else notes:
        typer.echo(f"note: {note}")
    if faults:
        raise typer.Exit(1)


def as_text(path: Path, faults: tuple[Fault, ...], models: int) -> str:
    """A line for each fault, as compilers write them; or one that says how much is right."""
    if faults:
        count = f"{len(faults)} fault{'s' if len(faults) != 1 else ''}"
        return "\n".join([*map(str, faults), f"{path}: {count}"])
    return f"{path}: no faults in {models} model{'s' if models != 1 else ''}"


def as_data(faults: tuple[Fault, ...], notes: tuple[str, ...] = ()) -> str:
    """The same for programs."""
    listed = [{"path": str(fault.path), "line": fault.line, "message": fault.message} for fault in faults]
    return json.dumps({"ok": not faults, "faults": listed, "notes": notes}, indent=2)
