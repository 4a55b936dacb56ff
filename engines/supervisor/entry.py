"""How a pool gets what it is started from: environment and weights first, then room in memory. Owned by `pool`.

It never gives up; what goes wrong is told to the pool's `ordeal`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from engines.engine import Engine
from engines.launchers.launcher import Prepared
from engines.progress import Progress
from engines.supervisor.board import Row
from engines.supervisor.events import ModelFailed
from engines.supervisor.memory import NotAdmitted
from engines.supervisor.ordeal import Ordeal
from engines.supervisor.shared import PreparationFailed, Shared
from registry.snapshot import Loading
from registry.spec import ModelSpec


@dataclass(frozen=True, slots=True)
class Wanting:
    """What a pool wants now."""

    spec: ModelSpec
    size: int
    """How many workers."""


@dataclass(frozen=True, slots=True)
class LetIn:
    """What so many workers are started from."""

    prepared: Prepared
    count: int


class Entry:
    """Invariant: memory is promised for exactly those workers that it let in."""

    def __init__(
        self,
        name: str,
        claim: str,
        engine: Engine,
        shared: Shared,
        row: Row,
        ordeal: Ordeal,
        wanting: Callable[[], Wanting],
        *,
        here: bool,
        after: str | None,
    ) -> None:
        self._name: Final = name
        self._claim: Final = claim
        self._engine: Final = engine
        self._shared: Final = shared
        self._row: Final = row
        self._ordeal: Final = ordeal
        self._wanting: Final = wanting
        self._here: Final = here
        """Whether memory of this machine is needed."""
        self._after: Final = after
        """The claim of the pool that goes when this one is up."""
        self._alone: Final = asyncio.Event()
        """Whether it has gone already, or there was none."""
        if after is None:
            self._alone.set()

    async def first(self) -> LetIn:
        """Tries until it succeeds: a network comes back, a disk is cleared, a file is put right, memory is free."""
        failures = 0
        while True:
            try:
                prepared = await self._shared.prepare(self._name, self._wanting().spec, self._preparing)
                return await self._admitted(prepared)
            except PreparationFailed as failed:
                failures += 1
                self._ordeal.failed(str(failed))
                wait = self._shared.pacing.prepare_again(failures)
                await self._put_off("preparation failed, trying again", str(failed), wait)
            except NotAdmitted as refused:
                failures += 1
                self._ordeal.failed(str(refused))
                wait = self._shared.pacing.admit_again(failures)
                await self._put_off("not started, trying again", str(refused), wait)

    async def another(self, number: int, prepared: Prepared) -> Prepared:
        """One more, in this seat; other models make room for it unless it comes with the requests.

        Raises `NotAdmitted`.
        """
        if not self._here:
            return prepared
        wanting, admit = self._wanting(), partial(self._let, prepared, [number])
        return await self._shared.attendance.take(admit, yielding=wanting.size <= wanting.spec.within(0))

    def go_alone(self) -> None:
        """The pool before it has gone: whatever it took is free."""
        self._alone.set()

    async def _admitted(self, prepared: Prepared) -> LetIn:
        """Once there is room; waits for the end of the pool before it where that would help. Raises `NotAdmitted`."""
        strategy = self._wanting().spec.strategy
        if strategy == "replace":
            await self._until_alone("strategy: replace")
        if not self._here:
            return LetIn(prepared, self._wanting().size)
        admit = partial(self._as_many, prepared)
        try:
            return await self._shared.attendance.take(admit, self._wait_for_room)
        except NotAdmitted as refused:
            if strategy == "surge" or self._alone.is_set() or not refused.fits_without(self._after):
                raise
            await self._until_alone(str(refused))
        return await self._shared.attendance.take(admit, self._wait_for_room)

    async def _as_many(self, prepared: Prepared) -> LetIn:
        """All that are wanted; else as many as there must be, and the others come when there is room."""
        wanting = self._wanting()
        enough = wanting.spec.within(0)
        try:
            return LetIn(await self._let(prepared, range(wanting.size)), wanting.size)
        except NotAdmitted:
            if wanting.size == enough:
                raise
        return LetIn(await self._let(prepared, range(enough)), enough)

    async def _let(self, prepared: Prepared, seats: Sequence[int]) -> Prepared:
        spec = self._wanting().spec
        return await self._shared.memory.admit(self._claim, spec, self._engine, prepared, self._name, seats)

    async def _until_alone(self, reason: str) -> None:
        if not self._alone.is_set():
            self._ordeal.no_room(reason)
            self._row.loading(Loading("waiting for the old workers to end what they have", eta=self._start))
            await self._alone.wait()

    @property
    def _start(self) -> float:
        """Seconds that a worker needs, once it is let in, to its first token."""
        return self._shared.starts.expected(self._name)

    def _wait_for_room(self) -> None:
        self._row.loading(Loading("waiting for the memory that other models have", eta=self._start))

    async def _put_off(self, step: str, reason: str, wait: float) -> None:
        self._row.loading(Loading(step, eta=wait, reason=reason))
        self._shared.announce(ModelFailed(self._name, reason, wait))
        await asyncio.sleep(wait)

    def _preparing(self, progress: Progress) -> None:
        fraction = None if progress.fraction is None else round(progress.fraction, 2)
        eta = round((progress.eta or 0.0) + self._start)
        self._row.loading(Loading(f"{progress.task}: {progress.step}", fraction, eta))
        self._shared.report(progress)
