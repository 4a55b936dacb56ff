"""A registry file → `Registry`, or every fault in it at once. Called by the supervisor and by the CLI.

`read` touches the file, `parse` decides; whether a local source exists is asked of `present`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from registry import names, options, sentences, sharing
from registry.document import Document, dotted, read_document
from registry.faults import Fault, Flaw, Place, RegistryRefused
from registry.sources import TOKEN_SCHEMES, is_path, scheme
from registry.spec import ModelSpec, Registry, misplaced
from registry.syntax import Unreadable

__all__ = ["Fault", "RegistryRefused", "load", "parse", "reread"]

_PATHS: Final = ("source", "calibration")
"""Fields of a model that may name a place on this machine, relative to the file."""
_FROM_ENVIRONMENT: Final = re.compile(r"\$\{env:[A-Za-z_][A-Za-z0-9_]*\}")
LARGEST_FILE: Final = 1024 * 1024
"""Bytes."""


def load(path: Path, env: Mapping[str, str]) -> Registry:
    """The registry in the file at `path`, `${env:NAME}` taken from `env`. Raises RegistryRefused with all faults."""
    return parse(decode(read(path), path), path, env)


def read(path: Path) -> bytes:
    """What is in the file, at most one byte more than `LARGEST_FILE`. Raises RegistryRefused."""
    try:
        if path.exists() and not path.is_file():
            raise _refused(path, "a folder, not a file" if path.is_dir() else "not a regular file")
        with path.open("rb") as file:
            return file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        raise _refused(path, "there is no such file") from None
    except OSError as error:
        raise _refused(path, f"cannot be read: {error.strerror}") from None
    except ValueError:
        raise _refused(path, "cannot be read: this is no path") from None


def decode(content: bytes, path: Path) -> str:
    """`content` as text; `path` is for messages. Raises RegistryRefused."""
    if len(content) > LARGEST_FILE:
        raise _refused(path, f"larger than {LARGEST_FILE // 1024} KiB: this is no registry")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _refused(path, "not text in UTF-8", line) from None


def reread(path: Path, env: Mapping[str, str]) -> Document:
    """The file at `path` with its lines, as it is now: perhaps not as it was. Raises RegistryRefused."""
    return _document(decode(read(path), path), path, env)


def _document(text: str, path: Path, env: Mapping[str, str]) -> Document:
    try:
        return read_document(text, env)
    except Unreadable as error:
        raise _refused(path, error.message, error.line) from None


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        # Too long, not reachable, not a path: in each case there is nothing to read.
        return False


def parse(text: str, path: Path, env: Mapping[str, str], present: Callable[[Path], bool] = _exists) -> Registry:
    """The registry that `text` describes; local sources come out absolute, taken from the folder of `path`.

    Raises RegistryRefused with all faults.
    """
    document = _document(text, path, env)
    folder = path.parent.absolute()
    found = [*_shapeless(document), *_entangled(document), *_watched(document, folder)]
    found += _absent(document, folder, present)
    registry = None
    try:
        registry = Registry.model_validate(document.root)
    except ValidationError as error:
        found += sentences.flaws(error, document)
    found = [*document.flaws, *(flaw for flaw in found if flaw.place not in document.unusable)]
    if found or registry is None:
        raise RegistryRefused(_ordered(found, path))
    models = {name: _anchored(spec, folder) for name, spec in registry.models.items()}
    store = registry.store
    if store is not None:
        store = store.model_copy(update={"files": str(folder / store.files)})
    return Registry(models=models, store=store)


def _shapeless(document: Document) -> Iterator[Flaw]:
    """Whole documents of the wrong shape, said plainly."""
    if isinstance(document.root, dict) and document.root.get("models") == {} and not document.flaws:
        yield Flaw(("models",), document.line(("models",)), "models is empty: name at least one model")


def _entangled(document: Document) -> Iterator[Flaw]:
    """Rules that concern several fields or models at once; checked on raw values, so that one fault hides none."""
    yield from _redis_url(document, ("store", "redis"))
    models = {name: fields for name, fields in _models(document) if isinstance(fields, dict)}
    for name, fields in models.items():
        launcher = fields.get("launcher", "local")
        if launcher in ("local", "ray", "external"):
            for field, rule in misplaced(launcher, frozenset(fields)):
                yield _flaw(document, ("models", name, field), f" {rule}")
        yield from _sleeper(document, ("models", name, "replicas", "when_idle"), fields)
        yield from _optional(document, ("models", name, "options"), fields.get("options"))
        yield from _secret(document, ("models", name, "token"), fields)
        yield from _worker_key(document, ("models", name, "external", "key"), fields.get("external"))
    for clash in names.clashes({name: _texts(name, fields.get("aliases")) for name, fields in models.items()}):
        yield _flaw(document, ("models", clash.model, "aliases", clash.position), f": {clash.message}")


def _watched(document: Document, folder: Path) -> Iterator[Flaw]:
    """An adapter that is put into a folder is one model's: it would fit no other."""
    owners: dict[str, str] = {}
    for name, fields in _models(document):
        room = fields.get("adapters") if isinstance(fields, dict) else None
        watch = room.get("watch") if isinstance(room, dict) else None
        if isinstance(watch, str) and watch:
            owner = owners.setdefault(os.path.normpath(folder / watch), name)
            if owner != name:
                place = ("models", name, "adapters", "watch")
                yield _flaw(document, place, f" is the folder that {owner!r} watches: give each model one of its own")


def _sleeper(document: Document, place: Place, fields: Mapping[str, object]) -> Iterator[Flaw]:
    replicas, launcher = fields.get("replicas"), fields.get("launcher", "local")
    if isinstance(replicas, dict) and replicas.get("when_idle") == "sleep" and launcher == "ray":
        yield _flaw(document, place, ": a worker of launcher: ray cannot sleep: use stop, or launcher: local")


def _secret(document: Document, place: Place, fields: Mapping[str, object]) -> Iterator[Flaw]:
    token, source = fields.get("token"), fields.get("source")
    if isinstance(token, str) and not _FROM_ENVIRONMENT.fullmatch(document.originals.get(place, "")):
        yield _flaw(document, place, " must be ${env:NAME}: a secret does not belong in a file")
    elif token is not None and isinstance(source, str) and scheme(source) not in TOKEN_SCHEMES:
        yield _flaw(document, place, f" is only for {', '.join(f'{each}://' for each in sorted(TOKEN_SCHEMES))}")


def _worker_key(document: Document, place: Place, external: object) -> Iterator[Flaw]:
    key = external.get("key") if isinstance(external, dict) else None
    if isinstance(key, str) and not _FROM_ENVIRONMENT.fullmatch(document.originals.get(place, "")):
        yield _flaw(document, place, " must be ${env:NAME}: a secret does not belong in a file")


def _redis_url(document: Document, place: Place) -> Iterator[Flaw]:
    store = document.root.get("store") if isinstance(document.root, dict) else None
    url = store.get("redis") if isinstance(store, dict) else None
    if isinstance(url, str) and sharing.is_secret(url) and place not in document.originals:
        yield _flaw(document, place, " holds a password, which does not belong in a file: write ${env:NAME}")


def _optional(document: Document, place: Place, chosen: object) -> Iterator[Flaw]:
    for engine, flags in chosen.items() if isinstance(chosen, dict) else ():
        for flag, reason in options.refusals(engine, flags) if isinstance(flags, dict) else ():
            yield _flaw(document, (*place, engine, flag), f": {reason}")


def _absent(document: Document, folder: Path, present: Callable[[Path], bool]) -> Iterator[Flaw]:
    models = ((name, fields) for name, fields in _models(document) if isinstance(fields, dict))
    for name, fields in models:
        for field in _PATHS:
            path, place = fields.get(field), ("models", name, field)
            if isinstance(path, str) and path and is_path(path) and not present(folder / path):
                yield _flaw(document, place, f" missing: there is no file or folder {document.shown(place, path)}")
        for inside, path in _adapters_paths(("models", name, "adapters"), fields.get("adapters")):
            if path and is_path(path) and not present(folder / path):
                yield _flaw(document, inside, f" missing: there is no file or folder {document.shown(inside, path)}")


def _adapters_paths(place: Place, adapters: object) -> Iterator[tuple[Place, str]]:
    fields = adapters if isinstance(adapters, dict) else {}
    declared = fields.get("declared")
    for adapter, source in declared.items() if isinstance(declared, dict) else ():
        if isinstance(source, str):
            yield (*place, "declared", adapter), source
    if isinstance(watch := fields.get("watch"), str):
        yield (*place, "watch"), watch


def _models(document: Document) -> Iterable[tuple[str, object]]:
    models = document.root.get("models") if isinstance(document.root, dict) else None
    return models.items() if isinstance(models, dict) else ()


def _texts(model: str, aliases: object) -> list[str]:
    """Aliases with their positions; what is no text is reported by its shape and clashes with nothing here."""
    listed = aliases if isinstance(aliases, list) else []
    return [item if isinstance(item, str) else f"{model}\0{position}" for position, item in enumerate(listed)]


def _flaw(document: Document, place: Place, message: str) -> Flaw:
    return Flaw(place, document.line(place), f"{dotted(place)}{message}")


def _ordered(found: Iterable[Flaw], path: Path) -> tuple[Fault, ...]:
    """In the order of the file; once, what two checks or two shapes say in the same words."""
    faults = {Fault(path, flaw.line, flaw.message) for flaw in found}
    return tuple(sorted(faults, key=lambda fault: (fault.line, fault.message)))


def _anchored(spec: ModelSpec, folder: Path) -> ModelSpec:
    given = {field: getattr(spec, field) for field in _PATHS}
    paths = {field: str(folder / path) for field, path in given.items() if path is not None and is_path(path)}
    room = spec.adapters
    declared = {name: str(folder / source) if is_path(source) else source for name, source in room.declared.items()}
    watch = str(folder / room.watch) if room.watch else None
    room = room.model_copy(update={"declared": declared, "watch": watch})
    return spec.model_copy(update={**paths, "adapters": room})


def _refused(path: Path, message: str, line: int = 1) -> RegistryRefused:
    return RegistryRefused((Fault(path, line, message),))
