"""Installs an engine's virtual environment from its lock file, once, and says whether it is whole.

Called by the supervisor, by `weights` and by `enginehouse engines`. Finished work is never redone, unfinished work
is taken up where it stopped, damage is repaired; two processes that want the same environment install it once.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from engines import atomic
from engines.environments import pip, site
from engines.environments.locks import CATALOGUE, Pin, digest, pins
from engines.locking import locked
from engines.processes import program
from engines.progress import Progress, Report

_MARK: Final = ".complete"
"""Written last: the digest of the lock that this folder was brought to."""
_LOOK: Final = 0.5
"""Seconds between two looks at how far pip has unpacked."""


class EnvironmentFailed(Exception):
    """An environment could not be installed; the message says why and what to try."""


class Condition(StrEnum):
    """What became of an environment on disk. `ensure` takes every one of them to READY."""

    MISSING = "missing"
    PARTIAL = "partial"
    READY = "ready"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class EnvironmentState:
    """The condition and, unless it is READY, the reason in words."""

    condition: Condition
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Environment:
    """A whole environment: every pin of its lock was in place when this value was made."""

    name: str
    root: Path
    python: Path
    digest: str
    """Of the lock: the same digest means the same packages."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an environment belongs and what belongs into it; decided by its lock alone."""

    name: str
    wanted: tuple[Pin, ...]
    root: Path

    @property
    def environment(self) -> Environment:
        """What this becomes once it is ready."""
        return Environment(self.name, self.root, self.root / "bin/python", digest(self.wanted))

    @property
    def scratch(self) -> Path:
        """Where pip unpacks: on the disk that must have room anyway, and gone when it is over or taken up again."""
        return self.root.with_name(f"{self.root.name}.tmp")

    @property
    def lock(self) -> Path:
        """The lock file that an installer holds; beside the folder, so that the folder may be thrown away."""
        return self.root.with_name(f"{self.root.name}.lock")


def place(name: str, cache: Path, catalogue: Mapping[str, Path] = CATALOGUE) -> Place:
    """Where the environment `name` lives under `cache`. Raises `EnvironmentFailed` for a name without a lock file."""
    if name not in catalogue:
        raise EnvironmentFailed(f"there is no environment {name!r}; known: {', '.join(sorted(catalogue))}")
    wanted = pins(catalogue[name].read_text(encoding="utf-8"))
    return Place(name, wanted, cache.absolute() / "environments" / f"{name}-{digest(wanted)[:12]}")


def inspect(name: str, cache: Path, catalogue: Mapping[str, Path] = CATALOGUE) -> EnvironmentState:
    """What is there now; reads a few thousand file names, under a second. Changes nothing."""
    return _state(place(name, cache, catalogue))


async def ensure(
    name: str,
    cache: Path,
    report: Report,
    *,
    catalogue: Mapping[str, Path] = CATALOGUE,
    environ: Mapping[str, str] = os.environ,
) -> Environment:
    """The environment `name`, installed or repaired if need be. Raises `EnvironmentFailed`."""
    spot = place(name, cache, catalogue)
    task = f"environment {name}"
    if _state(spot).condition is not Condition.READY:
        installer = _Installer(
            spot, _pip_environ(environ, spot.scratch), lambda step, part: report(Progress(task, step, part))
        )
        try:
            async with locked(spot.lock, lambda: report(Progress(task, "another process is installing it: waiting"))):
                if _state(spot).condition is not Condition.READY:
                    with _scratch(spot.scratch):
                        await installer.install()
        except OSError as fault:
            raise EnvironmentFailed(f"{task}: {fault.strerror}: {fault.filename}. {_where(spot)}") from fault
    report(Progress(task, "ready", 1.0))
    return spot.environment


def _state(spot: Place) -> EnvironmentState:
    if not spot.root.exists():
        return EnvironmentState(Condition.MISSING, "not installed yet")
    if not (spot.root / _MARK).exists():
        return EnvironmentState(Condition.PARTIAL, "its installation was interrupted")
    if not _has_python(spot):
        return EnvironmentState(Condition.BROKEN, "its Python is gone")
    found = site.difference(spot.root, spot.wanted)
    return EnvironmentState(Condition.READY) if found.is_none else EnvironmentState(Condition.BROKEN, str(found))


def _has_python(spot: Place) -> bool:
    # Follows the link to the system's Python, which an upgrade of the system may have taken away.
    return os.access(spot.root / "bin/python", os.X_OK)


class _Installer:
    """One installation, under the lock of its place."""

    def __init__(self, spot: Place, environ: Mapping[str, str], tell: Callable[[str, float | None], None]) -> None:
        self._spot: Final = spot
        self._environ: Final = environ
        self._tell: Final = tell

    async def install(self) -> None:
        """From whatever is there to READY."""
        (self._spot.root / _MARK).unlink(missing_ok=True)
        if not _has_python(self._spot):
            await self._make_venv()
        left = site.difference(self._spot.root, self._spot.wanted)
        for pin in left.damaged:
            self._forget(pin)
        todo = (*left.missing, *left.damaged)
        if todo:
            await self._install(todo, await self._extra_index(todo))
        left = site.difference(self._spot.root, self._spot.wanted)
        if not left.is_none:
            raise EnvironmentFailed(f"{self._spot.name}: pip succeeded, but {left}. {_where(self._spot)}")
        atomic.write(self._spot.root / _MARK, self._spot.environment.digest.encode(), durable=True)

    async def _make_venv(self) -> None:
        self._tell("making the virtual environment", 0.0)
        argv = pip.venv_command(self._spot.root, anew=self._spot.root.exists())
        ended = await program.run(argv, self._environ, lambda _: None, merge=True)
        if ended.status != 0:
            raise EnvironmentFailed(f"{self._spot.name}: `python -m venv` failed:\n{ended.last_words}")

    def _forget(self, pin: Pin) -> None:
        """Pip refuses to replace a package that has no list of files, so what is half there must look absent."""
        if metadata := site.metadata_of(self._spot.root, pin):
            shutil.rmtree(metadata)

    async def _extra_index(self, todo: tuple[Pin, ...]) -> str | None:
        """PyTorch's own index if pip, as it is configured here, does not find the local builds among `todo`."""
        local = pip.local_builds(todo)
        if not local:
            return None
        names = ", ".join(f"{pin.name} {pin.version}" for pin in local)
        self._tell(f"looking for {names}", 0.0)
        argv = pip.install_command(self._spot.environment.python, local, dry=True)
        found = (await program.run(argv, self._environ, lambda _: None, merge=True)).status == 0
        where = "found by pip as configured here" if found else f"from PyTorch's CPU index, {pip.TORCH_INDEX}"
        self._tell(f"{names}: {where}", 0.0)
        return None if found else pip.TORCH_INDEX

    async def _install(self, todo: tuple[Pin, ...], extra_index: str | None) -> None:
        argv = pip.install_command(self._spot.environment.python, todo, extra_index=extra_index)
        async with self._watched(len(todo)) as heard:
            ended = await program.run(argv, self._environ, heard, merge=True)
        if ended.status != 0:
            raise EnvironmentFailed(
                f"{self._spot.name}: pip failed (status {ended.status}):\n{ended.last_words}\n"
                f"{pip.advice(ended.tail)} {_where(self._spot)}"
            )

    @asynccontextmanager
    async def _watched(self, total: int) -> AsyncIterator[Callable[[str], None]]:
        """Takes pip's lines; tells how far it is, also while it unpacks and says nothing."""
        before = site.finished(self._spot.root)
        now = pip.Installation(total)

        def heard(line: str) -> None:
            nonlocal now
            now = now.heard(line)
            tell()

        def tell() -> None:
            self._tell(*now.described(site.finished(self._spot.root) - before if now.order else 0))

        async def look() -> None:
            while True:
                await asyncio.sleep(_LOOK)
                tell()

        async with asyncio.TaskGroup() as group:
            looking = group.create_task(look())
            try:
                yield heard
            finally:
                looking.cancel()


@contextmanager
def _scratch(folder: Path) -> Iterator[None]:
    """An empty folder; pip that is told to stop leaves gigabytes behind, and /tmp may be memory."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _pip_environ(environ: Mapping[str, str], scratch: Path) -> dict[str, str]:
    """The user's own settings of pip stay; what would lead it to another Python's packages goes."""
    unwanted = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
    kept = {key: value for key, value in program.keyless(environ).items() if key not in unwanted}
    return kept | {"TMPDIR": str(scratch)}


def _where(spot: Place) -> str:
    return f"The environment is in {spot.root}."
