"""The tools that make and measure checkpoints, behind one narrow seam.

Called by `prepare`; tests pass a scripted one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

from engines.environments.environment import EnvironmentFailed, ensure, place
from engines.progress import Report
from engines.quantize import run
from engines.quantize.quality import Quality
from engines.quantize.run import Job
from engines.tool import Told, ToolFailed
from engines.weights import convert
from engines.weights.failures import ConversionFailed, NoSpace

_ENVIRONMENT: Final = "quantizer"
_REVISION: Final = 2
"""Grows when our own programs write different checkpoints from the same input."""


class Workshop(Protocol):
    """Makes checkpoints out of files. Every method raises `WeightsFailed` and leaves nothing running."""

    @property
    def digest(self) -> str:
        """Changes when the same input would give another checkpoint."""

    async def open(self, report: Report) -> None:
        """Get the tools ready; cheap if they are."""

    async def convert(self, source: Path, target: Path, told: Told) -> None:
        """A GGUF file to a checkpoint folder."""

    async def quantize(self, job: Job, told: Told) -> None:
        """A checkpoint folder to a packed one."""

    async def measure(self, job: Job, scratch: Path, told: Told) -> Quality:
        """What a finished job cost, on the held-out text."""


class Quantizer:
    """The workshop in the quantizer environment; `open` comes first."""

    def __init__(self, cache: Path, environ: Mapping[str, str]) -> None:
        self._cache: Final = cache
        self._environ: Final = environ
        self._environment: Final = place(_ENVIRONMENT, cache).environment

    @property
    def digest(self) -> str:
        """Of the packages and of our own programs' revision."""
        return hashlib.sha256(f"{self._environment.digest} {_REVISION}".encode()).hexdigest()

    async def open(self, report: Report) -> None:
        """Install the environment if it is not there."""
        try:
            await ensure(_ENVIRONMENT, self._cache, report, environ=self._environ)
        except EnvironmentFailed as fault:
            raise ConversionFailed(str(fault)) from fault

    async def convert(self, source: Path, target: Path, told: Told) -> None:
        """A GGUF file to a checkpoint folder in bfloat16."""
        try:
            await convert.convert_gguf(self._environment.python, source, target, self._environ, told)
        except ToolFailed as fault:
            raise _failure(fault) from fault

    async def quantize(self, job: Job, told: Told) -> None:
        """A checkpoint folder to a packed one."""
        try:
            await run.quantize(self._environment.python, job, self._environ, told)
        except ToolFailed as fault:
            raise _failure(fault) from fault

    async def measure(self, job: Job, scratch: Path, told: Told) -> Quality:
        """On the shipped held-out text."""
        try:
            return await run.measure(self._environment.python, job, scratch, self._environ, told)
        except ToolFailed as fault:
            raise _failure(fault) from fault


def _failure(fault: ToolFailed) -> ConversionFailed | NoSpace:
    if fault.disk_full:
        return NoSpace(
            f"the disk filled up: {fault}\nFree some space, or point $ENGINEHOUSE_CACHE at another disk, and run it "
            "again; nothing half-made was kept."
        )
    return ConversionFailed(f"{fault}\nRun it again; if it fails again, the lines above say why.")
