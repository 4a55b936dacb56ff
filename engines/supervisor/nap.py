"""How a pool's one worker sleeps instead of being stopped: let go, asleep, called, awake again. Owned by `pool`.

The worker does what it is told (`worker.py`); here is when it is told. Whoever is asleep counts as not loaded: the
next request has the pool woken, as any dormant one, and then the worker wakes in place of a start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum, auto
from functools import partial
from typing import Final, Protocol

from engines.supervisor.board import Row
from engines.supervisor.memory import NotAdmitted
from engines.supervisor.shared import Shared
from registry.snapshot import Loading, WorkerState


class Phase(Enum):
    """How far a nap is."""

    AWAKE = auto()
    DOZING = auto()
    """Gateways let the worker go."""
    ASLEEP = auto()
    """It sleeps, or falls asleep."""
    RISING = auto()
    """It has been called."""
    SPENT = auto()
    """It could not sleep, or slept and cannot wake: the pool has to be laid down."""


class Sleeper(Protocol):
    """A worker as far as its sleep is concerned."""

    @property
    def id(self) -> str:
        """Another one once it has slept."""

    def rest(self) -> None: ...

    def rise(self) -> None: ...


class Nap:
    """Invariant: the worker is sent to sleep only when no gateway holds anything on it, and while it sleeps no gateway
    knows it by an id that it ever served under.
    """

    def __init__(self, name: str, claim: str, row: Row, shared: Shared) -> None:
        self._name: Final = name
        self._claim: Final = claim
        self._row: Final = row
        self._shared: Final = shared
        self.phase = Phase.AWAKE
        self.since: float | None = None
        """When it began, by the clock for durations; None: there was none."""
        self.called = False
        """Whether somebody wants the worker back."""
        self.waiting = False
        """Whether it waits for memory."""
        self._given_back = False
        self._left = False
        self._seated: tuple[int, Sleeper] | None = None
        self._state = WorkerState.READY
        self._news: Final = asyncio.Event()

    @property
    def dormant(self) -> bool:
        """Whether a request would have to call the worker."""
        return self.phase in {Phase.DOZING, Phase.ASLEEP}

    @property
    def settling(self) -> bool:
        """Whether memory is about to be given back."""
        return self.phase is Phase.DOZING or (self.phase is Phase.ASLEEP and not self._given_back)

    @property
    def spent(self) -> bool:
        """Whether the pool has to be laid down."""
        return self.phase is Phase.SPENT

    @property
    def _eta(self) -> float:
        """Seconds: not longer than a load, where it never woke here."""
        starts = self._shared.starts
        return min(starts.expected(f"{self._name} asleep"), starts.expected(self._name))

    @property
    def starts_as(self) -> str:
        """What its next start is to be compared with: waking takes another time than loading."""
        return f"{self._name} asleep" if self.phase is Phase.RISING else self._name

    def begin(self, number: int, sleeper: Sleeper) -> None:
        """The worker in this seat, who is ready, shall sleep."""
        self.phase, self.since, self._seated = Phase.DOZING, self._shared.clock.now(), (number, sleeper)
        self.called = self._given_back = False
        self._state = WorkerState.READY
        self._news.set()

    def call(self) -> None:
        """Somebody wants the worker."""
        self.called = True
        self._news.set()

    def leave(self) -> None:
        """Another pool has taken the place of this one."""
        self._left = True

    def asleep(self) -> None:
        """The engine has given back what it gives back."""
        self._shared.memory.doze(self._claim)
        self._given_back = True
        self._news.set()

    def seen(self, state: WorkerState) -> None:
        """How the worker is."""
        self._state = state
        self._news.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._until(lambda: self.phase is Phase.DOZING)
            if self._seated is not None and await self._sleep(*self._seated):
                self.phase, self.called = Phase.AWAKE, False
            else:
                self.phase = Phase.SPENT

    async def _sleep(self, number: int, sleeper: Sleeper) -> bool:
        """From being let go to being awake, or started, again; False: that is not to be."""
        if not await self._let_go(number, sleeper.id):
            return False
        self.phase = Phase.ASLEEP
        sleeper.rest()
        self._row.loads_in(self._eta)
        await self._until(lambda: (self._given_back and self.called) or self._state is not WorkerState.SLEEPING)
        if self._state is not WorkerState.SLEEPING or not await self._has_room():
            return False
        sleeper.rise()
        await self._until(lambda: self._state not in {WorkerState.SLEEPING, WorkerState.STARTING})
        return True

    async def _let_go(self, number: int, worker: str) -> bool:
        """Whether nobody holds anything on it in the end, and it is still there."""
        shared = self._shared
        self._row.leave(number)
        try:
            async with asyncio.timeout(shared.pacing.swap_drain):
                await shared.holds.until_free([worker])
        except TimeoutError:
            return False
        if self._left or self._state is not WorkerState.READY:
            return False
        self._row.forget(number)
        shared.holds.forget([worker])
        return True

    async def _has_room(self) -> bool:
        """Whether it may have back what it gave; others make room for it as for any model that is loaded."""
        self.phase, self.waiting = Phase.RISING, True
        self._say("waking the worker")
        wait = partial(self._say, "waiting for the memory that other models have")
        try:
            await self._shared.attendance.take(partial(self._shared.memory.rouse, self._claim), wait)
        except NotAdmitted:
            return False
        finally:
            self.waiting = False
        self._say("waking the worker")
        return self._state is WorkerState.SLEEPING

    def _say(self, step: str) -> None:
        self._row.loading(Loading(step, eta=self._eta))

    async def _until(self, test: Callable[[], bool]) -> None:
        while not test():
            self._news.clear()
            await self._news.wait()
