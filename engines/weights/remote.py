"""A source on a hub, from its first request to its place in the cache. Called by `original`.

What was fetched once is kept under the source's text and used without asking again, so a restart never changes
weights and needs no network; `refresh` asks again whether the revision has moved.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from engines.tool import Told
from engines.weights.cache import Cache
from engines.weights.checkpoint import examine
from engines.weights.failures import ChecksumMismatch, Offline, WeightsFailed
from engines.weights.hubs.hub import Hub, Wish
from engines.weights.offline import offline, still
from engines.weights.room import disk_full
from engines.weights.transfer.download import Download, Fetched
from engines.weights.transfer.listing import Listing
from engines.weights.transfer.patience import Wait, persevere
from engines.weights.transfer.web import Web, client
from engines.weights.verify import check

MANIFEST: Final = ".enginehouse.json"
"""In a fetched folder: which source it is, its resolved revision, and every file's size and SHA-256. Hidden, so that
it does not count in the folder's own sum."""


@dataclass(frozen=True, slots=True)
class Fetching:
    """How to reach the world: what tests replace."""

    hubs: Mapping[str, Hub]
    environ: Mapping[str, str]
    http: Callable[[], httpx.AsyncClient] = field(default=client)
    wait: Wait = field(default=asyncio.sleep)


async def fetch_remote(
    wish: Wish, cache: Cache, fetching: Fetching, told: Told, *, refresh: bool = False
) -> tuple[Path, str]:
    """The file or folder and its SHA-256, from the cache if it is there. Raises `WeightsFailed`."""
    text = wish.address.text
    if not refresh and (found := kept(wish, cache)):
        return found
    if switch := offline(fetching.environ):
        raise Offline(still(text, switch))
    async with cache.fetching(wish.key, lambda: told(f"waiting for another process that fetches {text}", 0.0)) as work:
        found = None if refresh else kept(wish, cache)
        if found is None:
            found = await _Fetch(wish, cache, fetching, work, told).run()
        shutil.rmtree(work, ignore_errors=True)
    return found


def kept(wish: Wish, cache: Cache) -> tuple[Path, str] | None:
    """What the cache holds of it, and its SHA-256. Raises `ChecksumMismatch` where the registry names another."""
    known = cache.known(wish.key)
    if known is None or not _place(wish, known, cache).exists():
        return None
    check(wish.address.text, known, wish.sha256)
    return _place(wish, known, cache), known


def _place(wish: Wish, sha256: str, cache: Cache) -> Path:
    member = wish.address.member
    return cache.file(sha256, Path(member).name) if member else cache.folder(sha256)


class _Fetch:
    """One fetch, under its lock, in its folder."""

    def __init__(self, wish: Wish, cache: Cache, fetching: Fetching, work: Path, told: Told) -> None:
        self._wish: Final = wish
        self._cache: Final = cache
        self._fetching: Final = fetching
        self._work: Final = work
        self._told: Final = told

    async def run(self) -> tuple[Path, str]:
        hub = self._fetching.hubs[self._wish.address.scheme]
        door = hub.door(self._wish)
        self._told(f"asking for {self._wish.address.text}", 0.0)
        async with self._fetching.http() as http:
            web = Web(http, door.home, door.secrets, door.refusal)
            listing = await persevere(lambda: hub.listing(self._wish, web), wait=self._fetching.wait)
            require = self._cache.require
            download = Download(listing, self._work, web, require, self._told, self._fetching.wait)
            files = await download.all()
        made, sha256 = (
            self._one(download.made, files) if self._wish.address.member else self._folder(download.made, files)
        )
        self._accept(sha256, listing)
        if not self._wish.address.member:
            if not self._wish.parts:
                await asyncio.to_thread(self._examine, made)
            _write_manifest(made, self._wish.address.text, listing, files, sha256)
        place = _place(self._wish, sha256, self._cache)
        if not place.exists():
            await self._cache.publish(made, place)
        self._cache.note(self._wish.key, sha256)
        return place, sha256

    def _one(self, made: Path, files: Sequence[Fetched]) -> tuple[Path, str]:
        return made / files[0].name, files[0].sha256

    def _folder(self, made: Path, files: Sequence[Fetched]) -> tuple[Path, str]:
        """What an earlier listing had and this one has not is no part of it."""
        names = {file.name for file in files}
        for path in [path for path in made.rglob("*") if path.is_file()]:
            if path.relative_to(made).as_posix() not in names:
                path.unlink()
        return made, manifest_sum(files)

    def _accept(self, sha256: str, listing: Listing) -> None:
        try:
            check(self._wish.address.text, sha256, self._wish.sha256)
        except ChecksumMismatch:
            # What nobody vouched for may be wrong itself, and would be taken for right the next time.
            if not all(file.sha256 or file.git for file in listing.files):
                shutil.rmtree(self._work, ignore_errors=True)
            raise

    def _examine(self, made: Path) -> None:
        try:
            examine(self._wish.address.text, made)
        except WeightsFailed:
            shutil.rmtree(self._work, ignore_errors=True)
            raise


def manifest_sum(files: Sequence[Fetched]) -> str:
    """The same as `verify.manifest` of the folder, without reading it again."""
    lines = "".join(f"{file.sha256}  {file.name}\n" for file in sorted(files, key=lambda file: file.name))
    return hashlib.sha256(lines.encode()).hexdigest()


def _write_manifest(made: Path, source: str, listing: Listing, files: Sequence[Fetched], sha256: str) -> None:
    written = {
        "source": source,
        "revision": listing.revision,
        "sha256": sha256,
        "files": [{"name": file.name, "size": file.size, "sha256": file.sha256} for file in files],
    }
    with disk_full(made):
        (made / MANIFEST).write_text(json.dumps(written, indent=1), encoding="utf-8")
