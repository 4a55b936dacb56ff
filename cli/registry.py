"""The registry for verbs: read, refused in a person's words, and held against what engines can do."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cli.declared import unservable
from cli.mistake import Mistake
from engines import plainfile
from engines.environments.hardware import Hardware, Unsuited, detect, device_of, environment_for, require
from engines.environments.locks import CATALOGUE
from engines.launchers.cluster import nodes
from engines.quantize.declared import declared, only_experts, sizes, words
from engines.quantize.rules import LayoutRefused, accept, divide, resolve, unlike_adapters, unlike_weights
from registry.load import Fault, RegistryRefused, load, reread
from registry.sources import is_path
from registry.spec import ModelSpec, Registry


def read_registry(path: Path, env: Mapping[str, str]) -> Registry:
    """The registry in the file at `path`, possible throughout. Raises `Mistake` with every fault."""
    try:
        return judged(path, env)
    except RegistryRefused as refused:
        raise refusal(refused) from None


def judged(path: Path, env: Mapping[str, str]) -> Registry:
    """The same. Raises `RegistryRefused`."""
    registry = load(path, env)
    if faults := impossible(registry, path, env):
        raise RegistryRefused(faults)
    return registry


def refusal(refused: RegistryRefused) -> Mistake:
    """All faults, a line each."""
    return Mistake(f"the registry is refused\n{refused}")


def environment_of(spec: ModelSpec, hardware: Hardware | None = None) -> str:
    """The environment that the model's engine runs in, on this machine where no other is given."""
    return spec.environment or environment_for(spec.engine, nodes(spec, hardware or detect()))


def unsuited(registry: Registry, hardware: Hardware) -> tuple[str, ...]:
    """What such a machine cannot run: a sentence for each model. The file may be meant for another machine."""
    return tuple(note for name, spec in registry.models.items() for note in _unsuited(name, spec, hardware))


def _unsuited(name: str, spec: ModelSpec, hardware: Hardware) -> Iterator[str]:
    if spec.source is None:
        return
    try:
        require(environment_of(spec, hardware), nodes(spec, hardware))
    except Unsuited as refused:
        yield f"models.{name}: {refused}"


def impossible(registry: Registry, path: Path, env: Mapping[str, str]) -> tuple[Fault, ...]:
    """What is written rightly and yet cannot work: each fault with its line in the file, and what there is instead."""
    models, folder = registry.models.items(), path.absolute().parent
    found = [fault for name, spec in models for fault in (*_impossible(name, spec), *unservable(name, spec, folder))]
    return located([(("models", name, *place), said) for name, place, said in found], path, env)


def located(found: Sequence[tuple[tuple[str, ...], str]], path: Path, env: Mapping[str, str]) -> tuple[Fault, ...]:
    """What was found at places of the file at `path`, each with its line. Raises RegistryRefused."""
    if not found:
        return ()
    document = reread(path, env)
    return tuple(Fault(path, document.line(place), said) for place, said in found)


def _impossible(name: str, spec: ModelSpec) -> Iterator[tuple[str, tuple[str, ...], str]]:
    if spec.source is None:
        return
    environment = environment_of(spec)
    if environment not in CATALOGUE:
        place = ("environments", spec.engine)
        known = ", ".join(sorted(CATALOGUE))
        yield name, place, f"models.{name}.environments.{spec.engine}: there is no {environment}; known: {known}"
        return
    if spec.sleeps and device_of(environment) == "cpu":
        said = f"sleep needs a GPU, for {environment} keeps all its memory: use stop, which is the default"
        yield name, ("replicas", "when_idle"), f"models.{name}.replicas.when_idle: {said}"
    config = _config(spec.source)
    for option, why in _unlike(spec, config, environment):
        yield name, ("options", spec.engine, option), f"models.{name}.options.{spec.engine}.{option}: {why}"
    adapters = spec.adapters.slots > 0
    try:
        layout = resolve(spec.quantization, spec.engine, environment, adapters=adapters)
        if spec.calibration and layout.tuning is None:
            said = f"models.{name}.calibration: {layout.name} weights are not tuned, so no text is read: remove it"
            yield name, ("calibration",), said
        divide(layout, sizes(config), spec.engine, environment, adapters=adapters)
        for packed in words(config):
            accept(packed, spec.engine, environment, adapters=adapters)
        if said := _odd(spec.source):
            yield name, ("source",), f"models.{name}.source: {said}"
    except LayoutRefused as refused:
        yield name, ("quantization",), f"models.{name}.quantization: {refused}"


def _unlike(spec: ModelSpec, config: Mapping[str, Any], environment: str) -> Iterator[tuple[str, str]]:
    """The options that do not go with the model's adapters; or, where it has none, with its weights."""
    if spec.adapters.slots > 0:
        yield from unlike_adapters(spec.engine_options, spec.engine, environment)
    elif not only_experts(config):
        packed = declared(config) or spec.quantization
        yield from unlike_weights(spec.engine_options, packed, spec.engine, environment)


def _odd(source: str) -> str:
    """What of a source on this machine is neither file nor folder: nobody could read it to its end."""
    path = Path(source)
    try:
        if not is_path(source) or not path.exists() or path.is_file():
            return ""
        return next(plainfile.others(path), "") if path.is_dir() else f"{source} is neither a file nor a folder"
    except OSError:
        return ""  # found out when it is prepared, maybe by another user


def matrices(source: str) -> dict[str, int]:
    """The sizes of a checkpoint's matrices, where it lies on this machine and says them."""
    return sizes(_config(source))


def _config(source: str) -> dict[str, Any]:
    """What a checkpoint on this machine says of itself; empty where it cannot be read, which is found out later."""
    try:
        config = json.loads(plainfile.content(Path(source) / "config.json")) if is_path(source) else {}
    except (ValueError, RecursionError, OSError):
        return {}
    return config if isinstance(config, dict) else {}
