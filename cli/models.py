"""`enginehouse models`: what a registry names, what of it is in the cache, and the adapters of a house that runs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.folders import (
    REGISTRY,
    STATE,
    CacheOption,
    JsonOption,
    RegistryOption,
    StateOption,
    cache_folder,
    octets,
)
from cli.mistake import Mistake
from cli.registry import environment_of, read_registry
from cli.show import size
from cli.status import snapshots
from engines.quantize.quality import Quality
from engines.quantize.rules import resolve
from engines.weights.failures import WeightsFailed
from engines.weights.prepare import requested
from engines.weights.shelf import Found, Shelved, look
from engines.weights.workshop import Quantizer
from registry.adapters import DIGITS, Catalogue
from registry.spec import ModelSpec, Registry

_COLOURS: Final = {Shelved.READY: "green", Shelved.UNUSABLE: "red"}


@dataclass(frozen=True, slots=True)
class Row:
    """One model. `found` is None where its workers are started by somebody else."""

    name: str
    spec: ModelSpec
    layout: str = ""
    found: Found | None = None
    octets: int = 0


def models(
    registry: RegistryOption = REGISTRY,
    cache: CacheOption = None,
    state: StateOption = STATE,
    as_json: JsonOption = False,
) -> None:
    """List models: quantization and what it cost, what is in the cache, and the adapters of the house, if it runs."""
    loaded, folder = read_registry(registry, os.environ), cache_folder(cache, os.environ)
    try:
        found = list(rows(loaded, registry.absolute().parent, folder, os.environ))
    except WeightsFailed as refused:
        raise Mistake(str(refused)) from None
    catalogue = running(state)
    if as_json:
        shown = [for_json(row) | {"adapters": adapters(catalogue, row.name)} for row in found]
        typer.echo(json.dumps(shown, indent=2))
        return
    Console().print(as_table(found))
    for row in found:
        if row.found and row.found.reason:
            typer.echo(f"{row.name}: {row.found.reason}")
        for name, revision in adapters(catalogue, row.name).items():
            typer.echo(f"{row.name}:{name} stands for {revision or 'no revision'}")


def running(state: Path) -> Catalogue:
    """The adapters of the house that runs with this state folder; none where none runs."""
    try:
        newest = next(snapshots(state), None)
    except Mistake:
        return Catalogue()
    return Catalogue(bytes(newest.adapters)) if newest else Catalogue()


def adapters(catalogue: Catalogue, model: str) -> dict[str, str]:
    """By name the revision that it stands for, as names have it."""
    return {each.name: each.current[:DIGITS] for each in catalogue.of(model)}


def rows(registry: Registry, folder: Path, cache: Path, env: Mapping[str, str]) -> Iterator[Row]:
    """Each model of `registry`, whose relative sources start at `folder`."""
    tools = Quantizer(cache, env).digest
    for name, spec in registry.models.items():
        if spec.source is None:
            yield Row(name, spec)
            continue
        layout = resolve(spec.quantization, spec.engine, environment_of(spec), adapters=spec.adapters.slots > 0)
        found = look(requested(name, spec, layout, folder), cache, tools)
        yield Row(name, spec, layout.name, found, _taken(found.path))


def _taken(path: Path | None) -> int:
    if path is None:
        return 0
    return octets(path) if path.is_dir() else path.stat().st_size


def as_table(found: list[Row]) -> Table:
    """For people."""
    drawn = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("MODEL", "ENGINE", "WEIGHTS", "STATE", "SIZE", "PERPLEXITY", "TOP-1", "KL"):
        drawn.add_column(heading, no_wrap=True)
    for row in found:
        quality = row.found.quality if row.found else None
        drawn.add_row(
            row.name,
            row.spec.engine,
            weights(row),
            _state(row),
            size(row.octets) if row.octets else "",
            loss(quality) if quality else "",
            *agreement(quality),
        )
    return drawn


def weights(row: Row) -> str:
    """The quantization that is asked for, and the layout that it means where that is another word."""
    if row.found is None or row.spec.quantization == row.layout:
        return row.layout
    return f"{row.spec.quantization} as {row.layout}"


def loss(quality: Quality) -> str:
    """Perplexity before and after quantizing, on the same text: 22.8 → 24.1 (x 1.06)."""
    return f"{quality.source_perplexity:.1f} → {quality.perplexity:.1f} (x {quality.ratio:.2f})"


def agreement(quality: Quality | None) -> tuple[str, str]:
    """How often the likeliest token is the source's, and the divergence from it in nats; empty where not measured."""
    top1, divergence = (quality.top1, quality.kl) if quality else (None, None)
    return "" if top1 is None else f"{top1:.1%}", "" if divergence is None else f"{divergence:.3f}"


def _state(row: Row) -> Text:
    if row.found is None:
        return Text("external")
    return Text(row.found.state, style=_COLOURS.get(row.found.state, "yellow"))


def for_json(row: Row) -> dict[str, object]:
    """For programs; `perplexity` is null where nothing was measured."""
    quality = row.found.quality if row.found else None
    return {
        "name": row.name,
        "aliases": list(row.spec.aliases),
        "engine": row.spec.engine,
        "launcher": row.spec.launcher,
        "source": row.spec.source,
        "quantization": row.spec.quantization,
        "layout": row.layout or None,
        "state": str(row.found.state) if row.found else "external",
        "reason": row.found.reason if row.found else "",
        "path": str(row.found.path) if row.found and row.found.path else None,
        "bytes": row.octets,
        "perplexity": quality
        and {
            "source": quality.source_perplexity,
            "weights": quality.perplexity,
            "ratio": quality.ratio,
            "tokens": quality.tokens,
            "top1": quality.top1,
            "kl": quality.kl,
            "algorithm": quality.algorithm or None,
        },
    }
