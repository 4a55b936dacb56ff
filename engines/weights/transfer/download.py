"""All files of a listing, several at once, into one folder that is whole or is taken up later. Called by `remote`.

In the folder of `Cache.fetching`:

    made/<name>        what is here and verified
    parts/<id>.part    what is on its way; `<id>.from` says of what
    parts/<id>.done    what a file in `made` was found to be, so that it is not read again
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from engines.tool import Told
from engines.weights.failures import WeightsFailed
from engines.weights.room import disk_full
from engines.weights.transfer.listing import File, Listing
from engines.weights.transfer.part import Checksums, Part
from engines.weights.transfer.patience import Wait
from engines.weights.transfer.resumable import Resumable, mismatch
from engines.weights.transfer.web import Web

_AT_ONCE: Final = 4
"""Files on their way at the same time: enough for most lines, few enough for a hub's limits."""
_MARGIN: Final = 64_000_000

Require = Callable[[int, str], None]
"""Raises `NoSpace` unless so many bytes fit for what is named."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """One file that is here."""

    name: str
    size: int
    sha256: str


class Download:
    """Invariant: what stands below `made` is whole and has every sum that the listing knows."""

    def __init__(
        self, listing: Listing, folder: Path, web: Web, require: Require, told: Told, wait: Wait = asyncio.sleep
    ) -> None:
        self._listing: Final = listing
        self.made: Final = folder / "made"
        self._parts: Final = folder / "parts"
        self._web: Final = web
        self._require: Final = require
        self._told: Final = told
        self._wait: Final = wait
        self._here: Final[dict[str, int]] = {}
        self._over = 0
        self._turns: Final = asyncio.Semaphore(_AT_ONCE)

    async def all(self) -> tuple[Fetched, ...]:
        """Every file of the listing, sorted by name. Raises the first `WeightsFailed`; the others stop then."""
        for file in self._listing.files:
            self._here[file.name] = self._begun(file)
        missing = self._listing.size - sum(self._here.values())
        self._room(max(0, missing))
        self._tell()
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._one(file)) for file in self._listing.files]
        except* (WeightsFailed, OSError) as several:
            raise _first(several) from None
        return tuple(sorted((task.result() for task in tasks), key=lambda fetched: fetched.name))

    def _begun(self, file: File) -> int:
        """Bytes of `file` that are here already."""
        made = self.made / file.name
        return made.stat().st_size if self._known(file) is not None else self._part(file).size

    async def _one(self, file: File) -> Fetched:
        async with self._turns:
            sums = self._known(file)
            if sums is None:
                sums = await self._fetched(file)
        made = self.made / file.name
        self._over += 1
        self._here[file.name] = made.stat().st_size
        self._tell()
        return Fetched(file.name, made.stat().st_size, sums.sha256)

    async def _fetched(self, file: File) -> Checksums:
        def heard(here: int) -> None:
            self._here[file.name] = here
            self._tell()

        part = self._part(file)
        sums = await Resumable(file, part, self._web, self._wait, heard, self._room).whole()
        made = self.made / file.name
        with disk_full(made):
            made.parent.mkdir(parents=True, exist_ok=True)
            os.replace(part.path, made)  # noqa: PTH105 (Path.replace says nothing else)
            part.forget()
            known = {"size": made.stat().st_size, "etag": file.etag, **asdict(sums)}
            self._done(file).write_text(json.dumps(known), encoding="utf-8")
        return sums

    def _known(self, file: File) -> Checksums | None:
        """What a finished file was found to be, if that is still what the listing wants."""
        try:
            noted = json.loads(self._done(file).read_text(encoding="utf-8"))
            sums, size, etag = Checksums(noted["sha256"], noted["git"]), int(noted["size"]), noted["etag"]
            there = (self.made / file.name).stat().st_size
        except (OSError, ValueError, KeyError, TypeError):
            return None
        vouched = file.sha256 or file.git or (file.etag and file.etag == etag)
        alike = there == size and file.size in {None, size} and not mismatch(file, sums)
        return sums if vouched and alike else None

    def _room(self, needed: int) -> None:
        self._require(needed + _MARGIN, f"fetching {self._listing.what}")

    def _tell(self) -> None:
        total, here = self._listing.size, sum(self._here.values())
        files = len(self._listing.files)
        step = f"fetching {self._listing.what}: {self._over} of {files} files, {_gigabytes(here, total)}"
        self._told(step, min(1.0, here / total) if total else 0.0)

    def _part(self, file: File) -> Part:
        return Part(self._parts / f"{_id(file)}.part")

    def _done(self, file: File) -> Path:
        return self._parts / f"{_id(file)}.done"


def _id(file: File) -> str:
    return hashlib.sha256(file.name.encode()).hexdigest()[:16]


def _gigabytes(here: int, total: int) -> str:
    if total >= 1e9:
        return f"{here / 1e9:.2f} of {total / 1e9:.2f} GB"
    return f"{here / 1e6:.1f} of {total / 1e6:.1f} MB" if total else f"{here / 1e6:.1f} MB"


def _first(several: BaseExceptionGroup[BaseException]) -> BaseException:
    fault: BaseException = several
    while isinstance(fault, BaseExceptionGroup):
        fault = fault.exceptions[0]
    return fault
