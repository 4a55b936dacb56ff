"""The registry for verbs: read, refused in a person's words, and held against what engines can do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from cli.mistake import Mistake
from engines.environments.locks import CATALOGUE
from engines.quantize.layout import LayoutRefused, resolve
from engines.supervisor.preparation import ENVIRONMENTS
from registry.document import read_document
from registry.load import Fault, RegistryRefused, decode, load, read
from registry.spec import ModelSpec, Registry


def read_registry(path: Path, env: Mapping[str, str]) -> Registry:
    """The registry in the file at `path`, possible throughout. Raises `Mistake` with every fault."""
    try:
        registry = load(path, env)
    except RegistryRefused as refused:
        raise refusal(refused) from None
    if faults := impossible(registry, path, env):
        raise refusal(RegistryRefused(faults))
    return registry


def refusal(refused: RegistryRefused) -> Mistake:
    """All faults, a line each."""
    return Mistake(f"the registry is refused\n{refused}")


def environment_of(spec: ModelSpec) -> str:
    """The environment that the model's engine runs in."""
    return spec.environment or ENVIRONMENTS[spec.engine]


def impossible(registry: Registry, path: Path, env: Mapping[str, str]) -> tuple[Fault, ...]:
    """What is written rightly and yet cannot work: each fault with its line in the file, and what there is instead."""
    found = [fault for name, spec in registry.models.items() for fault in _impossible(name, spec)]
    if not found:
        return ()
    document = read_document(decode(read(path), path), env)
    return tuple(Fault(path, document.line(("models", name, *place)), said) for name, place, said in found)


def _impossible(name: str, spec: ModelSpec) -> Iterator[tuple[str, tuple[str, ...], str]]:
    if spec.source is None:
        return
    environment = environment_of(spec)
    if environment not in CATALOGUE:
        place = ("environments", spec.engine)
        known = ", ".join(sorted(CATALOGUE))
        yield name, place, f"models.{name}.environments.{spec.engine}: there is no {environment}; known: {known}"
        return
    try:
        resolve(spec.quantization, spec.engine, environment)
    except LayoutRefused as refused:
        yield name, ("quantization",), f"models.{name}.quantization: {refused}"
