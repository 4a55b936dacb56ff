"""What a registry may say of adapters and yet hardly means, held against those that are stored. Pure.

Asked by `enginehouse check`, which notes it, and by `engines.ledger.declared`, which has it shown as trouble.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from registry.spec import ModelSpec, Registry


def misgivings(registry: Registry, stored: Collection[tuple[str, str]]) -> Mapping[str, tuple[str, ...]]:
    """Sentences by model; `stored` are the adapters that there are, each by its model and its own name."""
    owners = {name: model for model, spec in registry.models.items() for name in (model, *spec.aliases)}
    mine: dict[str, set[str]] = {}
    for model, adapter in stored:
        mine.setdefault(model, set()).add(adapter)
    found = {}
    for model, spec in registry.models.items():
        known = mine.get(model, set()).union(spec.adapters.declared) if spec.adapters.slots else set()
        if said := (*_pinned(spec, known), *_covered(model, known, owners)):
            found[model] = said
    return found


def _pinned(spec: ModelSpec, known: Collection[str]) -> tuple[str, ...]:
    return tuple(
        f"{name!r} is pinned, and is neither declared nor stored: add it, or take it out of `pinned`"
        for name in dict.fromkeys(spec.adapters.pinned)
        if name not in known
    )


def _covered(model: str, known: Collection[str], owners: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(
        f"{name!r} alone means the model {owners[name]!r}, not this model's adapter of that name, which is asked for "
        f"as {model}:{name}"
        for name in sorted(known)
        if name in owners
    )
