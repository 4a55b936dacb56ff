"""Models on demand: loads what is asked for, unloads what is idle, has room made. The acts; `demand` decides.

Run by `main`. Successions enter themselves, `control` brings what gateways say, and a pool that needs memory takes it
here, in turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from engines.supervisor import scaling
from engines.supervisor.demand import Act, Holder, Standing, decide, make_room
from engines.supervisor.memory import Memory, NotAdmitted
from engines.supervisor.pacing import Pacing
from engines.supervisor.scaling import Strength, Trend, observe
from engines.supervisor.starts import StartTimes
from engines.supervisor.uses import Uses
from registry.orders import Use
from registry.spec import ModelSpec

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Present:
    """The pool that a model has now."""

    spec: ModelSpec
    claim: str
    """What its memory is promised to."""
    since: float
    """When the pool was made, became one that comes and goes, or its worker was last sent to sleep."""
    dormant: bool
    admitted: bool
    ready_since: float | None
    size: int = 1
    """How many workers there shall be."""
    ready: int = 0
    """How many of them serve."""
    capacity: int = 1
    """Requests that each of them runs at once."""
    settling: bool = False
    """Whether its worker is being sent to sleep, and has not given its memory back yet."""
    spent: bool = False
    """Whether its worker slept, and cannot be woken."""


class Loadable(Protocol):
    """A model's succession."""

    @property
    def present(self) -> Present | None:
        """None: it has no pool yet, or one is taking another's place."""

    def load(self) -> None:
        """Has the dormant pool come up."""

    def unload(self) -> None:
        """Has the pool sleep, or leave, and a dormant one take its place."""

    def scale(self, size: int) -> None:
        """Has it go on with so many workers."""


class Attendance:
    """Invariant: memory is taken by one pool at a time, in the order in which they asked for it."""

    def __init__(self, clock: Callable[[], float], memory: Memory, starts: StartTimes, pacing: Pacing) -> None:
        self._clock: Final = clock
        self.memory: Final = memory
        self.starts: Final = starts
        self._pacing: Final = pacing
        self._uses: Final = Uses(clock)
        self._models: Final[dict[str, Loadable]] = {}
        self._trends: Final[dict[str, Trend]] = {}
        """By model, of those whose number of workers follows their requests."""
        self._leaving: Final[set[str]] = set()
        """Claims of pools that were asked to leave for others."""
        self._turn: Final = asyncio.Lock()
        self._news: Final = asyncio.Event()

    @contextmanager
    def entered(self, name: str, model: Loadable) -> Iterator[None]:
        """Attends to `model` for as long as it is entered."""
        self._models[name] = model
        try:
            yield
        finally:
            if self._models.get(name) is model:
                del self._models[name]
                self._trends.pop(name, None)

    def report(self, gateway: object, models: Mapping[str, Use]) -> None:
        """What a gateway says of all models on demand."""
        if self._uses.report(gateway, models):
            self._news.set()

    def wake(self, model: str) -> None:
        """Somebody of ours needs a worker of the model, as a request would."""
        self.report(asking := object(), {model: Use(asked=True)})
        self.ended(asking)

    def ended(self, gateway: object) -> None:
        """A gateway is gone."""
        self._uses.ended(gateway)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pacing.attend_every):
                    await self._news.wait()
            self._news.clear()
            for name, model in tuple(self._models.items()):
                self._attend(name, model)

    async def take(
        self, admit: Callable[[], Awaitable[T]], waiting: Callable[[], None] = lambda: None, *, yielding: bool = True
    ) -> T:
        """What `admit` returns as soon as there is memory for it; others, if `yielding`, are asked to leave where that
        helps.

        `waiting` is told when that takes a while. Raises `NotAdmitted` where there will be no room.
        """
        if self._turn.locked():
            waiting()
        async with self._turn:
            while True:
                try:
                    return await admit()
                except NotAdmitted as refused:
                    if not yielding or not self._makes_room(refused.missing):
                        raise
                waiting()
                await asyncio.sleep(self._pacing.attend_every)

    def _attend(self, name: str, model: Loadable) -> None:
        standing = self._standing(name, model.present)
        act = Act.KEEP if standing is None else decide(standing, self._clock(), self._pacing.thrift)
        if act is Act.LOAD:
            model.load()
        elif act is Act.UNLOAD:
            model.unload()
        elif model.present is not None:
            self._scale(name, model, model.present)

    def _scale(self, name: str, model: Loadable, present: Present) -> None:
        """Has a model that is loaded go on with as many workers as its requests need."""
        terms = present.spec.on_demand
        if terms is None or present.spec.most == 1 or not present.admitted:
            self._trends.pop(name, None)
            return
        strength = Strength(
            least=present.spec.within(0),
            most=present.spec.most,
            size=present.size,
            ready=present.ready,
            target=min(terms.target or max(1, present.capacity * 3 // 4), present.capacity),
            idle_after=terms.idle_after,
            load_time=self.starts.expected(name),
        )
        thrift, requests = self._pacing.thrift, self._uses.of(name).requests
        trend = self._trends[name] = observe(self._trends.get(name), strength, requests, self._clock(), thrift)
        if (size := scaling.decide(trend, strength, thrift)) != present.size:
            model.scale(size)

    def _standing(self, name: str, present: Present | None) -> Standing | None:
        """None where the model is not one that comes and goes."""
        terms = None if present is None or present.spec.least else present.spec.on_demand
        if present is None or terms is None:
            return None
        used = self._uses.of(name)
        moments = (used.last, present.ready_since, present.since)
        return Standing(
            idle_after=terms.idle_after,
            load_time=self.starts.expected(name),
            dormant=present.dormant,
            admitted=present.admitted,
            ready_since=present.ready_since,
            used=max(moment for moment in moments if moment is not None),
            busy=used.busy,
            wanted=used.waiting > 0 or (used.asked is not None and used.asked >= present.since),
            spent=present.spent,
        )

    def _makes_room(self, missing: int | None) -> bool:
        """Asks models to leave if that frees so many bytes; whether there will be enough, now or later."""
        if missing is None:
            return False
        presents = {name: model.present for name, model in self._models.items()}
        serving = {present.claim for present in presents.values() if present is not None and not present.settling}
        self._leaving.difference_update(serving)
        coming = sum(self.memory.holds(claim) for claim in self._leaving)
        holders = tuple(self._holders(presents))
        room = make_room(missing - coming, holders, self._clock(), self._pacing.thrift)
        for name in room.leave:
            present = presents[name]
            if present is not None:
                self._leaving.add(present.claim)
                self._models[name].unload()
        return room.possible or coming >= missing

    def _holders(self, presents: Mapping[str, Present | None]) -> Iterator[Holder]:
        for name, present in presents.items():
            standing = self._standing(name, present)
            if present is None or standing is None or present.claim in self._leaving or not present.admitted:
                continue
            if size := self.memory.holds(present.claim):
                yield Holder(name, size, standing)
