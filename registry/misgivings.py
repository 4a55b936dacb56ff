"""What a registry may say of adapters and yet hardly means, held against those that are stored. Pure.

Asked by `enginehouse check`, which notes it, and by `engines.ledger.declared`, which has it shown as trouble.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from registry.spec import ModelSpec, Registry


def misgivings(registry: Registry, stored: Mapping[str, Collection[str]]) -> Mapping[str, tuple[str, ...]]:
    """Sentences by model; `stored` are the adapters that there are, by model."""
    owners = {name: model for model, spec in registry.models.items() for name in (model, *spec.aliases)}
    found = {}
    for model, spec in registry.models.items():
        known = (stored.get(model, ()), spec.adapters.declared) if spec.adapters.slots else ()
        if said := (*_pinned(spec, known), *_covered(model, known, owners)):
            found[model] = said
    return found


def _pinned(spec: ModelSpec, known: Collection[Collection[str]]) -> tuple[str, ...]:
    return tuple(
        f"{name!r} is pinned, and is neither declared nor stored: add it, or take it out of `pinned`"
        for name in dict.fromkeys(spec.adapters.pinned)
        if not any(name in each for each in known)
    )


def _covered(model: str, known: Collection[Collection[str]], owners: Mapping[str, str]) -> tuple[str, ...]:
    """Looked for in the smaller of both: there are houses of a thousand models, and of many more adapters."""
    taken = {name for each in known for name in _shared(each, owners)}
    return tuple(
        f"{name!r} alone means the model {owners[name]!r}, not this model's adapter of that name, which is asked for "
        f"as {model}:{name}"
        for name in sorted(taken)
    )


def _shared(names: Collection[str], owners: Mapping[str, str]) -> Collection[str]:
    few, many = (names, owners) if len(names) < len(owners) else (owners, names)
    return [name for name in few if name in many]
