"""A pool's workers, as many as are wanted: seats come and go while the others serve. Run by `pool`; `seating` decides.

Who comes is first let in by the memory planner. Who goes is let go by the gateways first, then stopped.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from engines.launchers.launcher import Prepared
from engines.supervisor.memory import NotAdmitted
from engines.supervisor.seating import Sitting, dismissed, first_free, vacancies


class Hired(Protocol):
    """A worker as far as its seat is concerned."""

    @property
    def id(self) -> str:
        """Ends with the number of starts that its seat has seen."""

    def suspect(self, worker_id: str) -> None: ...

    def leave(self) -> None: ...

    def rest(self) -> None: ...

    def rise(self) -> None: ...

    async def run(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Opening:
    """A seat that is to be taken."""

    number: int
    address: str
    prepared: Prepared | None
    starts: int
    """How often the workers that sat there before were started."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What a crew asks of its pool."""

    hire: Callable[[Opening], Hired]
    admit: Callable[[int], Awaitable[Prepared | None]]
    """Lets one more worker in, in the seat of this number. Raises `NotAdmitted`."""
    see_off: Callable[[int, str], Awaitable[None]]
    """Waits until nobody needs the worker in this seat, of this id, any more."""
    gone: Callable[[int, str], None]
    """It is stopped."""
    short: Callable[[str, int], float]
    """Somebody was not let in, so many times in a row: why. Returns the seconds until the next try."""
    complete: Callable[[], None]
    """Nobody is missing."""


@dataclass(slots=True, eq=False)
class Member:
    """Who sits in a seat."""

    number: int
    address: str
    worker: Hired
    ready: bool = False
    leaving: bool = False
    task: asyncio.Task[None] = field(init=False)


class Crew:
    """Invariant: of each address there are as many workers as are wanted, but for those that leave and those that are
    not let in.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk: Final = desk
        self._members: Final[dict[int, Member]] = {}
        self._wanted: tuple[str, ...] = ()
        self._starts: Final[Counter[int]] = Counter()
        self._news: Final = asyncio.Event()
        self._hiring: asyncio.Task[None] | None = None
        self._disbanded = False

    @property
    def wanted(self) -> int:
        """How many workers there shall be."""
        return len(self._wanted)

    @property
    def ready(self) -> int:
        """How many of those that stay are ready."""
        return sum(each.ready for each in self._members.values() if not each.leaving)

    @property
    def alone(self) -> tuple[int, Hired] | None:
        """The seat and the worker, if it is the only one, and ready."""
        members = tuple(self._members.values())
        fit = len(members) == 1 and members[0].ready and not members[0].leaving and not self._disbanded
        return (members[0].number, members[0].worker) if fit else None

    def want(self, addresses: Sequence[str]) -> None:
        """There shall be these workers from now on, one for each time that an address is named."""
        self._wanted = tuple(addresses)
        self._news.set()

    def seen(self, number: int, *, ready: bool) -> None:
        """How the worker in this seat is."""
        member = self._members.get(number)
        if member is not None and member.ready is not ready:
            member.ready = ready
            self._news.set()

    def suspect(self, worker_id: str) -> None:
        """Passed on to all."""
        for member in self._members.values():
            member.worker.suspect(worker_id)

    def leave(self) -> None:
        """All go on with what they have; nobody is started any more."""
        self._disbanded = True
        self._news.set()
        for member in self._members.values():
            member.worker.leave()

    async def run(self, first: Sequence[str], prepared: Prepared | None) -> None:
        """Until cancelled; then every worker is stopped, side by side. Those at the addresses `first` were let in."""
        async with asyncio.TaskGroup() as group:
            for number, address in enumerate(first):
                self._take(number, address, prepared, group)
            while True:
                self._news.clear()
                if not self._disbanded:
                    self._dismiss(group)
                self._fill(group)
                await self._news.wait()

    def _dismiss(self, group: asyncio.TaskGroup) -> None:
        for number in dismissed(self._staying(), self._wanted):
            member = self._members[number]
            member.leaving = True
            member.worker.leave()
            group.create_task(self._see_off(member))

    def _fill(self, group: asyncio.TaskGroup) -> None:
        lacking, hiring = bool(self._vacancies()), self._hiring
        if hiring is None or hiring.done():
            self._hiring = group.create_task(self._hire(group)) if lacking else None
        elif not lacking:
            hiring.cancel()

    async def _hire(self, group: asyncio.TaskGroup) -> None:
        """Until nobody is missing."""
        failures = 0
        try:
            while self._vacancies():
                number = first_free(self._members)
                try:
                    prepared = await self._desk.admit(number)
                except NotAdmitted as refused:
                    failures += 1
                    await asyncio.sleep(self._desk.short(str(refused), failures))
                    continue
                failures = 0
                vacant = self._vacancies()
                if vacant:
                    self._take(number, vacant[0], prepared, group)
                else:
                    self._desk.gone(number, "")
        finally:
            self._desk.complete()
            self._news.set()

    def _take(self, number: int, address: str, prepared: Prepared | None, group: asyncio.TaskGroup) -> None:
        worker = self._desk.hire(Opening(number, address, prepared, self._starts[number]))
        member = self._members[number] = Member(number, address, worker)
        member.task = group.create_task(worker.run())

    async def _see_off(self, member: Member) -> None:
        await self._desk.see_off(member.number, member.worker.id)
        member.task.cancel()
        await asyncio.wait({member.task})
        self._starts[member.number] = int(member.worker.id.rpartition(".")[2])
        del self._members[member.number]
        self._desk.gone(member.number, member.worker.id)
        self._news.set()

    def _vacancies(self) -> tuple[str, ...]:
        return () if self._disbanded else vacancies(self._staying(), self._wanted)

    def _staying(self) -> tuple[Sitting, ...]:
        return tuple(
            Sitting(each.number, each.address, each.ready) for each in self._members.values() if not each.leaving
        )
