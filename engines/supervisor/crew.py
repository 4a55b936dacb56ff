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
from engines.ledger.outfit import Outfit
from engines.supervisor import renewal
from engines.supervisor.memory import NotAdmitted
from engines.supervisor.renewal import Aim, Dressed
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
    outfit: frozenset[str] = frozenset()
    """What the worker is started with that it cannot be given later."""


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
    tight: Callable[[NotAdmitted | None], bool] = lambda _: False
    """Whether who is replaced leaves before the other one comes: always, or as that one was not let in."""
    away: Callable[[], None] = lambda: None
    """The last one that serves leaves, to be replaced."""
    back: Callable[[], None] = lambda: None
    """Somebody serves again, or nobody ever will."""


@dataclass(slots=True, eq=False)
class Member:
    """Who sits in a seat."""

    number: int
    address: str
    worker: Hired
    outfit: frozenset[str] = frozenset()
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
        self._outfit = Outfit()
        self._tight = False
        self._away = False
        """Whether nobody serves as the last one has left to be replaced."""
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

    @property
    def outfit(self) -> frozenset[str]:
        """What all shall have been started with."""
        return self._outfit.names

    @property
    def trying(self) -> frozenset[str] | None:
        """What the first worker is being started with that shall have it; None: one has it, or none is there."""
        return self._outfit.names if renewal.trying(self._present(), self._aim()) else None

    def wear(self, outfit: Outfit) -> None:
        """All workers shall have been started with this: the others are replaced, one by one."""
        if outfit != self._outfit:
            self._outfit = outfit
            self._tight = self._desk.tight(None)
            self._news.set()

    def want(self, addresses: Sequence[str]) -> None:
        """There shall be these workers from now on, one for each time that an address is named."""
        self._wanted = tuple(addresses)
        self._news.set()

    def seen(self, number: int, *, ready: bool) -> bool:
        """How the worker in this seat is. Returns whether it has changed."""
        member = self._members.get(number)
        if member is None or member.ready is ready:
            return False
        member.ready = ready
        self._news.set()
        if self.ready:
            self._return()
        return True

    def suspect(self, worker_id: str) -> None:
        """Passed on to all."""
        for member in self._members.values():
            member.worker.suspect(worker_id)

    def leave(self) -> None:
        """All go on with what they have; nobody is started any more."""
        self._disbanded = True
        self._return()
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
        present, aim = self._present(), self._aim()
        renewing = any(renewal.stale(each, aim) for each in present)
        leaving = renewal.relieved(present, aim) if renewing else dismissed(self._staying(), self._wanted)
        if renewing and self.ready and not any(each.ready for each in present if each.number not in leaving):
            self._away = True
            self._desk.away()  # before anybody knows that it leaves
        for number in leaving:
            member = self._members[number]
            member.leaving = True
            member.worker.leave()
            group.create_task(self._see_off(member))

    def _return(self) -> None:
        if self._away:
            self._away = False
            self._desk.back()

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
                    if self._makes_room(refused):
                        break
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
        outfit = self._outfit.names
        worker = self._desk.hire(Opening(number, address, prepared, self._starts[number], outfit))
        member = self._members[number] = Member(number, address, worker, outfit)
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
        if self._disbanded:
            return ()
        present, aim = self._present(), self._aim()
        if not any(renewal.stale(each, aim) for each in present):
            return vacancies(self._staying(), self._wanted)
        # One that leaves still has its memory: the next one would not be let in for it.
        leaving = any(each.leaving for each in self._members.values())
        awaited = leaving and (aim.tight or len(present) >= aim.count)
        return () if awaited else ("",) * renewal.lacking(present, aim)

    def _makes_room(self, refused: NotAdmitted) -> bool:
        """Whether somebody leaves for the one that was not let in."""
        present, aim = self._present(), self._aim()
        if len(present) < aim.count or not any(renewal.stale(each, aim) for each in present):
            return False
        self._tight = self._desk.tight(refused)
        return self._tight

    def _aim(self) -> Aim:
        return Aim(self.wanted, self._outfit.names, self._outfit.hold, self._tight)

    def _present(self) -> tuple[Dressed, ...]:
        staying = (each for each in self._members.values() if not each.leaving)
        return tuple(Dressed(each.number, each.outfit, each.ready) for each in staying)

    def _staying(self) -> tuple[Sitting, ...]:
        return tuple(
            Sitting(each.number, each.address, each.ready) for each in self._members.values() if not each.leaving
        )
