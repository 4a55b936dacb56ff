"""The adapters' files that several hosts have in common: a folder that all of them see, on NFS or the like.

    incoming/<random>/      one revision on its way in
    revisions/<digest>/     what is stored: whole, never written to again

Called by `shared`, off the event loop. A name appears by one rename, after everything below it was synced.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Final

from engines.adapters.doctor import LIMITS
from engines.adapters.folder import PARTS, NotThere
from engines.adapters.limits import Limits
from engines.atomic import synced
from engines.store.failures import FilesAway, StoreDamaged, told
from engines.store.files import digest_of, stage

_PATIENCE: Final = 120.0
"""Seconds that one waits for another's turn: a large adapter over a slow line takes a while."""
_YOUNG: Final = 24 * 3600.0
"""Seconds; a host whose clock is wrong by hours does not matter."""


class Depot:
    """Invariant: a folder below `revisions` is whole."""

    def __init__(
        self, root: Path, clock: Callable[[], float], limits: Limits = LIMITS, patience: float = _PATIENCE
    ) -> None:
        self._root: Final = root
        self._clock: Final = clock
        """Seconds since 1970."""
        self._limits: Final = limits
        self._patience: Final = patience
        self._turn: Final = Lock()
        """A mount that hangs holds whoever touches it, for good: one thread, not all of them."""

    def has(self, digest: str) -> bool:
        """Whether a revision is there."""
        return self._place(digest).is_dir()

    def listed(self) -> frozenset[str]:
        """Digests of all that is there. Raises `StoreFailed`."""
        with self._reached():
            place = self._root / "revisions"
            return frozenset(found.name for found in place.iterdir()) if place.is_dir() else frozenset()

    def put(self, digest: str, source: Path) -> None:
        """Have the revision there whose files lie in `source`. Raises `StoreFailed`."""
        with self._reached():
            if self.has(digest):
                self._place(digest).touch()  # young again: no sweep meets it before an entry names it
                return
            work = self._root / "incoming" / secrets.token_hex(8)
            for folder in (work, self._place(digest).parent):
                folder.mkdir(parents=True, exist_ok=True)
            try:
                for name in PARTS:
                    shutil.copyfile(source / name, work / name)
                    synced(work / name)
                synced(work)
                if not self._renamed(work, digest):
                    return
                synced(self._place(digest).parent)
            finally:
                shutil.rmtree(work, ignore_errors=True)

    def sweep(self, named: Collection[str]) -> None:
        """Remove revisions that no host names, and what dead processes have left, unless it came within a day.

        Raises `StoreFailed`.
        """
        with self._reached():
            for folder in ("incoming", "revisions"):
                place = self._root / folder
                for found in place.iterdir() if place.is_dir() else ():
                    if found.name not in named and self._clock() - found.stat().st_mtime > _YOUNG:
                        shutil.rmtree(found, ignore_errors=True)

    def fetch(self, digest: str, work: Path) -> None:
        """The files into the empty folder `work`; they are what their digest says. Raises `StoreFailed`."""
        place = self._place(digest)
        with self._reached():
            if not place.is_dir():
                raise FilesAway(f"{place} is not there (yet): the host that added it has to bring it")
            try:
                with told(self._root, written=work):
                    stage(place, work, self._limits)
            except NotThere as refused:
                raise StoreDamaged(f"{place}: {refused.finding}") from None
            if digest_of(work)[0] != digest:
                raise StoreDamaged(
                    f"{place} was changed on the disk: remove that folder, and a host that has it brings it again"
                )

    def _place(self, digest: str) -> Path:
        return self._root / "revisions" / digest

    @contextmanager
    def _reached(self) -> Iterator[None]:
        """It is never made: where nothing is mounted, a host would fill a folder that nobody else sees."""
        if not self._turn.acquire(timeout=self._patience):
            raise FilesAway(f"the shared folder {self._root} has not answered for {self._patience:g} s: does it hang?")
        try:
            if not self._root.is_dir():
                raise FilesAway(f"the shared folder {self._root} is not there: is it mounted?")
            with told(self._root):
                yield
        finally:
            self._turn.release()

    def _renamed(self, work: Path, digest: str) -> bool:
        """False: another host was first."""
        try:
            work.rename(self._place(digest))
        except OSError:
            if self.has(digest):
                return False
            raise
        return True
