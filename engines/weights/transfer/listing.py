"""What a hub says that a source consists of, and which of it a checkpoint needs. Pure. Made by the hubs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from engines.weights.failures import FetchFailed, SourceRefused
from engines.weights.source import safe
from registry.names import SHA256_PATTERN

_SHA256: Final = re.compile(SHA256_PATTERN)
_PLAIN: Final = (".json", ".txt", ".model", ".tiktoken", ".jinja", ".vocab", ".bpe", ".yaml")
_PICKLED: Final = (".bin", ".pt", ".pth", ".ckpt")
_ASIDE: Final = re.compile(r"(consolidated|training_args|optimizer|scheduler|rng_state|adapter_model)[^/]*")
"""Weights that a checkpoint has besides the ones that are loaded: Mistral's second copy, a trainer's state."""


@dataclass(frozen=True, slots=True)
class File:
    """One file to fetch: where it is, and what is known of it beforehand."""

    name: str
    """Its path below the checkpoint's folder."""
    url: str
    size: int | None = None
    sha256: str | None = None
    git: str | None = None
    """Git's name for the content, SHA-1 of `blob <size>\\0` and the bytes: what hubs know of small files."""
    etag: str | None = None
    """Where nothing better is known: changes with the content."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A source as it is right now. Every name leads into the folder, none out of it, and no two are the same."""

    what: str
    """For people: `org/name@1a2b3c4`."""
    revision: str
    files: tuple[File, ...]
    """Exactly what is fetched."""

    @property
    def size(self) -> int:
        """Bytes, as far as they are known."""
        return sum(file.size or 0 for file in self.files)


def checked(what: str, files: Sequence[File]) -> tuple[File, ...]:
    """`files`, where their names can be trusted. Raises `FetchFailed`."""
    names = set()
    for file in files:
        if not safe(file.name) or file.name in names or any(part.startswith(".") for part in file.name.split("/")):
            raise FetchFailed(f"{what}: the list names the file {file.name!r}, which is not taken. Tell who runs it")
        if (file.size or 0) < 0 or (file.sha256 and not _SHA256.fullmatch(file.sha256)):
            raise FetchFailed(f"{what}: the list says nonsense about {file.name}: size {file.size}, sum {file.sha256}")
        names.add(file.name)
    return tuple(files)


def one(what: str, files: Sequence[File], member: str) -> tuple[File, ...]:
    """Just the file `member`. Raises `FetchFailed` with what there is."""
    found = tuple(file for file in files if file.name == member)
    if not found:
        listed = [file.name for file in files if file.name.endswith(".gguf")] or [file.name for file in files]
        raise FetchFailed(f"{what} has no {member}; it has {', '.join(sorted(listed)[:8]) or 'nothing'}")
    return found


def exactly(what: str, files: Sequence[File], names: Sequence[str], largest: int | None) -> tuple[File, ...]:
    """Just the files called `names`. Raises `SourceRefused` where one is missing, or larger than `largest` bytes."""
    found = {file.name: file for file in files if file.name in names}
    if missing := [name for name in names if name not in found]:
        listed = ", ".join(sorted(file.name for file in files)[:8]) or "nothing"
        raise SourceRefused(f"{what} has no {missing[0]}; it has {listed}")
    for file in found.values():
        if largest is not None and (file.size or 0) > largest:
            raise SourceRefused(f"{what}: {file.name} has {file.size} bytes, and {largest} are taken")
    return tuple(found[name] for name in names)


def needed(what: str, files: Sequence[File], *, allow_pickle: bool, trust_remote_code: bool) -> tuple[File, ...]:
    """What of a repository an engine loads: safetensors, configuration, tokenizer; code only where it is trusted.

    Raises `SourceRefused` where that would be no checkpoint.
    """
    weights = [file for file in files if _weights(file.name, (".safetensors",))]
    if not weights:
        pickled = [file for file in files if _weights(file.name, _PICKLED)]
        if pickled and not allow_pickle:
            raise SourceRefused(
                f"{what} has no *.safetensors, only {pickled[0].name}, which runs code when it is read. Name a "
                "revision with safetensors, or write `allow_pickle: true` into the model's entry if you trust them"
            )
        weights = pickled
    small = [file for file in files if file.name.endswith((*_PLAIN, *((".py",) if trust_remote_code else ())))]
    if not weights or not any(file.name == "config.json" for file in small):
        gguf = [file.name for file in files if file.name.endswith(".gguf")]
        hint = f"; name one of its files: …/{min(gguf)}" if gguf else ""
        raise SourceRefused(f"{what} is not a checkpoint: it needs config.json and *.safetensors{hint}")
    return tuple(sorted({*weights, *small}, key=lambda file: file.name))


def _weights(name: str, suffixes: tuple[str, ...]) -> bool:
    """Those of the checkpoint itself: other formats lie in folders of their own."""
    return "/" not in name and name.endswith(suffixes) and not _ASIDE.fullmatch(name)


def sums(text: str) -> dict[str, str]:
    """Name → SHA-256, from what `sha256sum` prints. Raises `ValueError` on any other line."""
    found = {}
    for line in text.splitlines():
        if not line.strip():
            continue
        digest, _, name = line.partition(" ")
        name = name.removeprefix(" ").removeprefix("*").removeprefix("./")
        if not _SHA256.fullmatch(digest.lower()) or not name:
            raise ValueError("not a line of sha256sum")
        found[name] = digest.lower()
    return found
