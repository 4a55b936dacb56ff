"""Adapters that a registry file declares, held against their models before anything starts. Called by `registry`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from engines import ENGINES
from engines.adapters.below import against_model
from engines.adapters.doctor import examine
from engines.adapters.findings import shortened
from registry.sources import is_path
from registry.spec import ModelSpec


def unservable(name: str, spec: ModelSpec, folder: Path) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """Each adapter that cannot be served, with its place below the model. Archives wait until they are added."""
    adapters = spec.adapters
    if spec.urls is not None and not ENGINES[spec.engine].capabilities.hot_adapters:
        for field in (field for field in ("pinned", "declared", "watch") if getattr(adapters, field)):
            why = f"{spec.engine} loads no adapters while it runs, and the workers are not ours"
            yield name, ("adapters", field), f"models.{name}.adapters.{field}: {why}"
        return
    against = against_model(name, spec, folder, None, "its weights are not looked at here")
    for adapter, source in adapters.declared.items():
        if is_path(source) and (folder / source).is_dir():
            for finding in shortened(examine(folder / source, against).findings, 1):
                said = f"models.{name}.adapters.declared.{adapter}: {finding}"
                yield name, ("adapters", "declared", adapter), said
