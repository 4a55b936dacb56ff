"""What an adapter of a registry's model is held against: the spec, and the weights where they lie. Reads headers only.

Called by the supervisor before it loads an adapter, and by `cli`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from engines import plainfile
from engines.adapters.against import Against, is_published, plain_names
from engines.adapters.modules import Modules, ModulesUnknown, of_model
from engines.weights.source import parse
from registry.spec import ModelSpec


def against_model(name: str, spec: ModelSpec, folder: Path, weights: Path | None, why: str = "") -> Against:
    """`folder` is the registry file's; `why` says why no `weights` are known."""
    found, unknown = modules_of(weights) if weights else (None, why)
    return Against(
        engines=(spec.engine,),
        model=name,
        certain_names=plain_names([*_makers(spec, folder), *(published(weights) if weights else ())]),
        other_names=plain_names([name, *spec.aliases, *([weights.name] if weights else [])]),
        modules=found,
        why_unknown=unknown,
        max_rank=spec.adapters.max_rank,
        slots=spec.adapters.slots,
    )


def modules_of(path: Path) -> tuple[Modules | None, str]:
    """Of a checkpoint, or why they are not known."""
    try:
        return of_model(path), ""
    except ModulesUnknown as unknown:
        return None, str(unknown)


def published(path: Path) -> Iterator[str]:
    """What a checkpoint's configuration says that it was made from."""
    try:
        named = json.loads(plainfile.content(path / "config.json")).get("_model_name_or_path")
    except (OSError, ValueError, AttributeError, RecursionError):
        return
    if isinstance(named, str) and is_published(named):
        yield named


def _makers(spec: ModelSpec, folder: Path) -> Iterator[str]:
    """What the source calls it, where that is more than a place on a disk."""
    if spec.source is None:
        return
    source = parse(spec.source, folder)
    if source.wheel is not None:
        yield source.wheel.member
    elif source.address is not None and source.address.scheme in ("hf", "modelscope"):
        yield source.address.repository
