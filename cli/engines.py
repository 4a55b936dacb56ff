"""`enginehouse engines list|install`: the environments that engines and tools run in."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.folders import CacheOption, JsonOption, cache_folder, octets
from cli.mistake import Mistake
from cli.show import showing, size
from engines.environments.environment import EnvironmentFailed, ensure, inspect, place
from engines.environments.hardware import Hardware, Unsuited, detect, require
from engines.environments.locks import CATALOGUE


@dataclass(frozen=True, slots=True)
class Row:
    """One environment as it is on disk."""

    name: str
    state: str
    reason: str
    packages: int
    lock: str
    octets: int
    root: Path


def engines_list(cache: CacheOption = None, as_json: JsonOption = False) -> None:
    """List environments: whether they are installed, their size, and the lock they come from."""
    found = rows(cache_folder(cache, os.environ), CATALOGUE)
    if as_json:
        typer.echo(for_json(found))
    else:
        Console().print(as_table(found))


def rows(cache: Path, catalogue: Mapping[str, Path]) -> list[Row]:
    """Every environment of `catalogue`, looked at under `cache`; a large one takes a second."""
    return [_row(name, cache, catalogue) for name in sorted(catalogue)]


def _row(name: str, cache: Path, catalogue: Mapping[str, Path]) -> Row:
    spot, state = place(name, cache, catalogue), inspect(name, cache, catalogue)
    return Row(
        name,
        str(state.condition),
        state.reason,
        len(spot.wanted),
        spot.environment.digest[:12],
        octets(spot.root),
        spot.root,
    )


def as_table(found: list[Row]) -> Table:
    """For people."""
    drawn = Table(box=None, pad_edge=False)
    for heading in ("ENVIRONMENT", "STATE", "SIZE", "PACKAGES", "LOCK", "NOTE"):
        drawn.add_column(heading, justify="right" if heading in ("SIZE", "PACKAGES") else "left")
    for row in found:
        taken = size(row.octets) if row.octets else ""
        drawn.add_row(row.name, row.state, taken, str(row.packages), row.lock, Text(row.reason))
    return drawn


def for_json(found: list[Row]) -> str:
    """For programs."""
    listed = [
        {
            "name": row.name,
            "state": row.state,
            "reason": row.reason,
            "packages": row.packages,
            "lock": row.lock,
            "bytes": row.octets,
            "path": str(row.root),
        }
        for row in found
    ]
    return json.dumps(listed, indent=2)


def engines_install(
    names: Annotated[list[str], typer.Argument(help="Which ones; `enginehouse engines list` names them.")],
    cache: CacheOption = None,
    anyway: Annotated[bool, typer.Option("--anyway", help="Also what this machine cannot run, for an image.")] = False,
) -> None:
    """Install environments, or finish or repair them, side by side."""
    unknown = sorted(set(names) - set(CATALOGUE))
    if unknown:
        raise Mistake(f"there is no environment {', '.join(unknown)}; known: {', '.join(sorted(CATALOGUE))}")
    if not anyway:
        refuse_unsuited(names, detect())
    asyncio.run(_install(tuple(dict.fromkeys(names)), cache_folder(cache, os.environ)))


def refuse_unsuited(names: list[str], hardware: Hardware) -> None:
    """Raises `Mistake` for the first of `names` that such a machine cannot run."""
    for name in names:
        try:
            require(name, hardware)
        except Unsuited as refused:
            raise Mistake(f"{refused}; --anyway installs it all the same", exit_code=1) from None


async def _install(names: tuple[str, ...], cache: Path) -> None:
    with showing(Console(stderr=True)) as report:
        done = await asyncio.gather(*(ensure(name, cache, report) for name in names), return_exceptions=True)
    failed = [each for each in done if isinstance(each, BaseException)]
    for failure in failed:
        if not isinstance(failure, EnvironmentFailed):
            raise failure
    if failed:
        raise Mistake("\n".join(map(str, failed)), exit_code=1)
