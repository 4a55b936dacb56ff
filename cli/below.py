"""The model below an adapter, as a person names it: found in the registry and the cache, or on the disk."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from cli.mistake import Mistake
from cli.models import rows
from cli.registry import read_registry
from engines.adapters.against import Against, is_published, plain_names
from engines.adapters.modules import Modules, ModulesUnknown, of_model
from engines.weights.failures import WeightsFailed
from engines.weights.shelf import Shelved
from engines.weights.source import parse
from registry.spec import ModelSpec, Registry


def against(named: str | None, registry: Path, cache: Path, env: Mapping[str, str]) -> Against:
    """What an adapter is held against. Raises `Mistake` where nothing is called so."""
    if named is None:
        return Against()
    loaded = read_registry(registry, env) if registry.exists() else Registry(models={})
    for name, spec in loaded.models.items():
        if named in (name, *spec.aliases):
            return _of_registry(name, spec, registry.absolute().parent, cache, env)
    path = Path(named)
    if not path.exists():
        known = ", ".join(loaded.models) or "none"
        raise Mistake(f"--base {named}: neither a model of {registry} (it has {known}) nor a checkpoint's folder")
    found, why = _modules(path)
    return Against(
        model=named,
        certain_names=plain_names(_published(path)),
        other_names=plain_names([path.absolute().name]),
        modules=found,
        why_unknown=why,
    )


def _of_registry(name: str, spec: ModelSpec, folder: Path, cache: Path, env: Mapping[str, str]) -> Against:
    path, why = _place(name, spec, folder, cache, env)
    found, unknown = _modules(path) if path else (None, why)
    return Against(
        engines=(spec.engine,),
        model=name,
        certain_names=plain_names([*_makers(spec, folder), *(_published(path) if path else ())]),
        other_names=plain_names([name, *spec.aliases, *([path.name] if path else [])]),
        modules=found,
        why_unknown=unknown,
        max_rank=spec.adapters.max_rank,
        slots=spec.adapters.slots,
    )


def _place(name: str, spec: ModelSpec, folder: Path, cache: Path, env: Mapping[str, str]) -> tuple[Path | None, str]:
    """Where the model's weights lie, or why they lie nowhere."""
    if spec.source is None:
        return None, "its workers are somebody else's"
    try:
        (row,) = rows(Registry(models={name: spec}), folder, cache, env)
    except (WeightsFailed, OSError) as refused:
        return None, str(refused)
    if row.found is None or row.found.path is None or row.found.state is Shelved.MISSING:
        return None, f"it is not fetched yet; `enginehouse pull {name}` does it"
    return row.found.path, ""


def _modules(path: Path) -> tuple[Modules | None, str]:
    try:
        return of_model(path), ""
    except ModulesUnknown as unknown:
        return None, str(unknown)


def _makers(spec: ModelSpec, folder: Path) -> Iterator[str]:
    """What the source calls it, where that is more than a place on a disk."""
    if spec.source is None:
        return
    source = parse(spec.source, folder)
    if source.wheel is not None:
        yield source.wheel.member
    elif source.address is not None and source.address.scheme in ("hf", "modelscope"):
        yield source.address.repository


def _published(path: Path) -> Iterator[str]:
    """What a checkpoint's configuration says that it was made from."""
    try:
        named = json.loads((path / "config.json").read_text(encoding="utf-8")).get("_model_name_or_path")
    except (OSError, ValueError, AttributeError, RecursionError):
        return
    if isinstance(named, str) and is_published(named):
        yield named
