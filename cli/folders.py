"""Where things are kept: the cache that all clones share, and the state of one house. Read by every verb."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import typer

STATE: Final = Path(".enginehouse")
"""Holds what must not be lost; the cache may be deleted at any time."""

REGISTRY: Final = Path("model_registry.yaml")

RegistryOption = Annotated[Path, typer.Option("--registry", "-r", help="The registry file.")]
StateOption = Annotated[Path, typer.Option("--state", help="The state folder: socket, lock and logs.")]
CacheOption = Annotated[
    Path | None,
    typer.Option("--cache", help="Environments and weights. Default: $ENGINEHOUSE_CACHE or the XDG cache folder."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def cache_folder(asked: Path | None, env: Mapping[str, str]) -> Path:
    """The cache: what was `asked` for, else $ENGINEHOUSE_CACHE, else below $XDG_CACHE_HOME or ~/.cache."""
    if asked is not None:
        return asked.absolute()
    if named := env.get("ENGINEHOUSE_CACHE"):
        return Path(named).absolute()
    if shared := env.get("XDG_CACHE_HOME"):
        return Path(shared).absolute() / "enginehouse"
    return Path(env.get("HOME") or Path.home()) / ".cache" / "enginehouse"


def octets(folder: Path) -> int:
    """What the files below `folder` take, in bytes; 0 where there is none. Files that vanish meanwhile do not count."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += os.lstat(os.path.join(parent, name)).st_size  # noqa: PTH118 - 40,000 paths: Path takes seconds
    return total
