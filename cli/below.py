"""The model below an adapter, as a person names it: found in the registry and the cache, or on the disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cli.mistake import Mistake
from cli.models import rows
from cli.registry import read_registry
from engines.adapters.against import Against, plain_names
from engines.adapters.below import against_model, modules_of, published
from engines.weights.failures import WeightsFailed
from engines.weights.shelf import Shelved
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
    found, why = modules_of(path)
    return Against(
        model=named,
        certain_names=plain_names(published(path)),
        other_names=plain_names([path.absolute().name]),
        modules=found,
        why_unknown=why,
    )


def _of_registry(name: str, spec: ModelSpec, folder: Path, cache: Path, env: Mapping[str, str]) -> Against:
    path, why = _place(name, spec, folder, cache, env)
    return against_model(name, spec, folder, path, why)


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
    return (None, row.found.reason) if row.found.state is Shelved.UNUSABLE else (row.found.path, "")
