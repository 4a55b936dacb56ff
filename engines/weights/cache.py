"""The part of the cache that holds weights: content-addressed, published whole or not at all, safe to delete.

    files/<sha256>/<name>      a file that was fetched
    folders/<sha256>/          a checkpoint that was fetched, by the sum of its manifest
    partial/<key>/             what is being fetched: kept if it is cut, taken up by the next who wants it
    checkpoints/<digest>/      what workers load
    known/<digest>.json        which bytes a source or a local path was found to be

Called by `fetch` and `prepare`. Work goes on in `<place>.tmp`, which only the holder of `<place>.lock` touches: a
`.tmp` whose lock is free was left by a dead process and is thrown away.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from engines import atomic
from engines.locking import locked, unless_taken
from engines.weights.room import disk_full, free_bytes, too_much

FreeBytes = Callable[[Path], int]
"""Bytes that can still be written below a path."""

_WORK: Final = ".tmp"
_LOCK: Final = ".lock"


def digest_of(values: dict[str, object]) -> str:
    """One name for everything that a result depends on: hexadecimal SHA-256."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


class Cache:
    """Invariant: whatever stands under its final name is whole."""

    def __init__(self, root: Path, free_of: FreeBytes = free_bytes) -> None:
        self._root: Final = root.absolute()
        self._free_of: Final = free_of

    def file(self, sha256: str, name: str) -> Path:
        """Where the fetched file with this content belongs."""
        return self._root / "files" / sha256 / name

    def checkpoint(self, digest: str) -> Path:
        """Where the checkpoint with this digest belongs."""
        return self._root / "checkpoints" / digest

    def folder(self, sha256: str) -> Path:
        """Where the fetched checkpoint with this manifest belongs."""
        return self._root / "folders" / sha256

    def require(self, needed: int, what: str) -> None:
        """Raises `NoSpace` unless `needed` more bytes fit."""
        self._root.mkdir(parents=True, exist_ok=True)
        left = self._free_of(self._root)
        if left < needed:
            raise too_much(what, self._root, needed, left)

    @asynccontextmanager
    async def making(self, place: Path, waiting: Callable[[], None]) -> AsyncIterator[Path | None]:
        """An empty folder to make `place` in, under its lock; None if it is there already, made by somebody else.

        Whatever happens, the folder is gone afterwards; `publish` what is good.
        """
        self._sweep(place.parent)
        async with locked(place.with_name(place.name + _LOCK), waiting):
            if _there(place):
                yield None
                return
            work = place.with_name(place.name + _WORK)
            _empty(work)
            try:
                yield work
            finally:
                shutil.rmtree(work, ignore_errors=True)

    @asynccontextmanager
    async def fetching(self, key: str, waiting: Callable[[], None]) -> AsyncIterator[Path]:
        """The folder where what `key` names is put together, under its lock. It stays: the caller removes it."""
        place = self._root / "partial" / hashlib.sha256(key.encode()).hexdigest()[:32]
        async with locked(place.with_name(place.name + _LOCK), waiting):
            with disk_full(place.parent):
                place.mkdir(parents=True, exist_ok=True)
            yield place

    async def publish(self, made: Path, place: Path, move: Callable[[Path, Path], object] = os.rename) -> None:
        """Give `made`, a file or folder of this cache, its final name, once it is safely on disk."""
        await asyncio.to_thread(_publish, made, place, move)

    def known(self, key: str) -> str | None:
        """The SHA-256 that was noted under `key`."""
        with contextlib.suppress(FileNotFoundError, ValueError, KeyError, TypeError):
            return str(json.loads(self._note(key).read_text(encoding="utf-8"))["sha256"])
        return None

    def note(self, key: str, sha256: str) -> None:
        """Remember that what `key` names had this content."""
        place = self._note(key)
        with disk_full(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            atomic.write(place, json.dumps({"key": key, "sha256": sha256}).encode(), durable=False)

    def _note(self, key: str) -> Path:
        return self._root / "known" / f"{hashlib.sha256(key.encode()).hexdigest()}.json"

    def _sweep(self, folder: Path) -> None:
        """Throw away what processes that died here left behind."""
        for work in folder.glob(f"*{_WORK}"):
            with unless_taken(work.with_name(work.name.removesuffix(_WORK) + _LOCK)) as ours:
                if ours:
                    shutil.rmtree(work, ignore_errors=True)


def _there(place: Path) -> bool:
    return place.exists()


def _empty(work: Path) -> None:
    shutil.rmtree(work, ignore_errors=True)
    with disk_full(work.parent):
        work.mkdir(parents=True)


def _publish(made: Path, place: Path, move: Callable[[Path, Path], object]) -> None:
    with disk_full(place):
        for path in [*made.rglob("*"), made] if made.is_dir() else [made]:
            _sync(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        move(made, place)
        _sync(place.parent)


def _sync(path: Path) -> None:
    with contextlib.suppress(PermissionError):
        atomic.synced(path)
