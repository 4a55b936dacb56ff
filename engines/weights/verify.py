"""What a file or a checkpoint folder is, by its bytes. Called by `fetch` and `prepare`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from engines import plainfile
from engines.weights.failures import ChecksumMismatch

_CHUNK: Final = 8 << 20


def sha256(path: Path, hashed: Callable[[int], None] = lambda _: None) -> str:
    """Of the file at `path`, hexadecimal; `hashed` hears how many bytes are done."""
    summed, done = hashlib.sha256(), 0
    with plainfile.opened(path) as file:
        while chunk := file.read(_CHUNK):
            summed.update(chunk)
            done += len(chunk)
            hashed(done)
    return summed.hexdigest()


def manifest(folder: Path, hashed: Callable[[int], None] = lambda _: None) -> str:
    """Of a whole checkpoint: the SHA-256 of the lines `<sha256>  <path>` of all its files, sorted by path.

    `sha256sum` prints such lines. Hidden files and folders (`.git`, `.cache`) do not count.
    """
    files = sorted(
        (found.relative_to(folder).as_posix(), found)
        for found in folder.rglob("*")
        if found.is_file() and not any(part.startswith(".") for part in found.relative_to(folder).parts)
    )
    before = 0
    lines = []
    for name, path in files:
        start = before
        lines.append(f"{sha256(path, lambda done, start=start: hashed(start + done))}  {name}\n")  # type: ignore[misc]
        before += path.stat().st_size
    return hashlib.sha256("".join(lines).encode(errors="surrogateescape")).hexdigest()


def check(what: str, found: str, wanted: str | None) -> None:
    """Raises `ChecksumMismatch` unless `found` is what was `wanted`; None wants nothing."""
    if wanted is not None and found != wanted.lower():
        raise ChecksumMismatch(
            f"{what}: the SHA-256 is {found}, but the registry says {wanted}. Either the file was changed "
            "(fetch it again from where you trust it) or the registry names another one (correct `sha256`)."
        )


def signature(path: Path) -> str:
    """Changes whenever the files at `path` are written to; costs no reading. Not proof against forgery.

    Links that lead nowhere do not count, until they lead somewhere.
    """
    files = sorted(each for each in path.rglob("*") if each.exists()) if path.is_dir() else [path]
    marks = [(str(file), (seen := file.stat()).st_size, seen.st_mtime_ns, seen.st_ino) for file in files]
    return hashlib.sha256(repr(marks).encode()).hexdigest()


def size_of(path: Path) -> int:
    """Bytes of the file at `path`, or of all files below it."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
