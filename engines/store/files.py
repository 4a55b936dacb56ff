"""The store's files: a folder for each content, whole or not there, and one for each piece of work.

    lock                    held while content is put in its place or taken out of it
    incoming/<name>/        one adapter on its way in; the kernel's lock on the folder says whether somebody works on it
    revisions/<digest>/     what is stored: adapter_config.json and adapter_model.safetensors, never written to again
    quarantine/<name>/      what the doctor has refused, for a person to look at

Used off the event loop, by `adapters` and by the `Book` that it asks. Every name below is ours: a digest, or random.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from engines.adapters.findings import Reason
from engines.adapters.folder import CONFIG, PARTS, UNWANTED, NotThere, opened
from engines.adapters.limits import Limits
from engines.adapters.unpack import unpack
from engines.atomic import synced

_BLOCK: Final = 1 << 20
_MISSING: Final = {name: Reason.CONFIG_MISSING if name == CONFIG else Reason.WEIGHTS_MISSING for name in PARTS}


class Files:
    """Invariant: a folder below `revisions` is whole, and was on the disk before it had its name."""

    def __init__(self, root: Path) -> None:
        self._root: Final = root
        self._revisions: Final = root / "revisions"
        self._incoming: Final = root / "incoming"
        self._quarantine: Final = root / "quarantine"

    def lay_out(self) -> None:
        """The folders, for nobody's eyes but ours. Raises `OSError`."""
        for folder in (self._root, self._revisions, self._incoming, self._quarantine):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def place(self, digest: str) -> Path:
        """Where the content with this digest lies."""
        return self._revisions / digest

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """No other thread or process puts anything in its place meanwhile."""
        descriptor = os.open(self._root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def work(self) -> Iterator[Path]:
        """A new empty folder, gone afterwards unless it was moved. A dead process's is removed by `sweep`."""
        folder = self._incoming / secrets.token_hex(8)
        folder.mkdir(mode=0o700)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(descriptor)

    def publish(self, folder: Path, digest: str) -> None:
        """Give the content of `folder` its name, once it is on the disk. To be called `alone`. Raises `OSError`."""
        place = self.place(digest)
        if place.exists():
            return
        for name in PARTS:
            (folder / name).chmod(0o444)
            synced(folder / name)
        synced(folder)
        folder.rename(place)
        synced(self._revisions)

    def remove(self, digests: Collection[str]) -> None:
        """To be called `alone`, once no row names them."""
        for digest in digests:
            shutil.rmtree(self.place(digest), ignore_errors=True)

    def quarantine(self, folder: Path, most: int) -> Path:
        """Move what was refused aside, and keep the newest `most`; returns where it is."""
        place = self._quarantine / folder.name
        folder.rename(place)
        kept = sorted(self._quarantine.iterdir(), key=lambda found: found.lstat().st_ctime_ns)
        for old in kept[:-most]:
            shutil.rmtree(old, ignore_errors=True)
        return place

    def sweep(self, known: Collection[str]) -> None:
        """Remove what dead processes have left: work that nobody holds, and content that no row names. `alone`."""
        for folder in self._incoming.iterdir():
            with _unheld(folder) as left:
                if left:
                    shutil.rmtree(folder, ignore_errors=True)
        self.remove({found.name for found in self._revisions.iterdir()} - set(known))


@contextlib.contextmanager
def _unheld(folder: Path) -> Iterator[bool]:
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        yield False
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(descriptor)


def stage(source: Path, work: Path, limits: Limits) -> None:
    """The adapter at `source`, a folder or an archive, laid into the empty folder `work`. Raises `NotThere`, `OSError`.

    A file that is missing is left to the doctor; so is a pickle, of which only the name is taken.
    """
    root = source.resolve()
    if not root.is_dir():
        unpack(root, work, limits)
        return
    for name in PARTS:
        try:
            _copy(root, name, work, limits)
        except NotThere as refused:
            if refused.finding.reason is not _MISSING[name]:
                raise
    for name in UNWANTED:
        if os.path.lexists(root / name):
            (work / name).touch()


def _copy(root: Path, name: str, work: Path, limits: Limits) -> None:
    with opened(root, name, _MISSING[name]) as (file, _):
        left = limits.weights + 1
        with (work / name).open("xb") as target:
            while left > 0 and (block := file.read(min(_BLOCK, left))):
                left -= target.write(block)


def digest_of(folder: Path) -> tuple[str, int]:
    """The revision that its two files make, as `sha256sum` would print them, and their bytes. Raises `OSError`."""
    lines, octets = [], 0
    for name in PARTS:
        with (folder / name).open("rb") as file:
            lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {name}\n")
            octets += os.fstat(file.fileno()).st_size
    return hashlib.sha256("".join(lines).encode()).hexdigest(), octets
