"""A file that is being fetched, as it lies on disk: survives the process that fetches it. Called by `resumable`."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engines.weights.room import disk_full

_CHUNK: Final = 8 << 20
_KEPT: Final = "what was fetched so far is kept, and the next run goes on from there"


@dataclass(frozen=True, slots=True)
class Checksums:
    """What a whole file was found to be, hexadecimal."""

    sha256: str
    git: str


class Part:
    """Invariant: the file holds a beginning of what `validator` names, byte for byte as the server sent it."""

    def __init__(self, path: Path) -> None:
        self.path: Final = path
        self._mark: Final = path.with_name(f"{path.name}.from")

    @property
    def size(self) -> int:
        """Bytes that are here."""
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def validator(self) -> str:
        """The entity tag that these bytes had; empty where the server gave no strong one."""
        try:
            return str(json.loads(self._mark.read_text(encoding="utf-8"))["etag"])
        except (OSError, ValueError, KeyError, TypeError):
            return ""

    def begin(self, etag: str) -> None:
        """Start anew, with what has this entity tag."""
        with disk_full(self.path.parent):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.unlink(missing_ok=True)
            self._mark.write_text(json.dumps({"etag": etag}), encoding="utf-8")
            self.path.touch()

    def append(self, octets: bytes | bytearray, total: int | None = None) -> None:
        """The next bytes, of a file of `total` where that is known. Raises `NoSpace`; what is here already stays."""
        if not octets:
            return
        missing = None if total is None else max(0, total - self.size)
        with disk_full(self.path.parent, missing, _KEPT), self.path.open("ab", buffering=0) as file:
            written = 0
            while written < len(octets):
                written += file.write(octets[written:])

    def forget(self) -> None:
        """Nothing is left of it."""
        self.path.unlink(missing_ok=True)
        self._mark.unlink(missing_ok=True)

    def sums(self) -> Checksums:
        """Of all that is here."""
        plain = hashlib.sha256()
        git = hashlib.sha1(f"blob {self.size}\0".encode(), usedforsecurity=False)
        with self.path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                plain.update(chunk)
                git.update(chunk)
        return Checksums(plain.hexdigest(), git.hexdigest())
