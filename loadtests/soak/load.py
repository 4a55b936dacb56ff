"""The load of a soak: clients that stream, clients that want JSON, clients that leave. Used by `__main__`.

Each request has an id, by which the gateway's log tells later which worker it was on, and a seed, to which its words
are bound.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from tests.faults.client import Transcript, calling
from tests.faults.stage import broken_off, request, whole

_STREAMERS: Final = 16
_ASKERS: Final = 8
_LEAVERS: Final = 8
_PAUSE: Final = 0.02
"""Seconds that a client waits between two requests: the machine is shared."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one request. Times in seconds of the monotonic clock."""

    id: str
    kind: str
    began: float
    ended: float
    good: bool
    broken: bool = False
    """Whether it is a stream that ended with what had come and exactly one error event."""
    story: str = ""
    """What was received, where that was not good."""


class Load:
    """Invariant: `results` holds every request that is over, except those of clients that left."""

    def __init__(self, port: int, seed: int) -> None:
        self.results: Final[list[Result]] = []
        self._port: Final = port
        self._chance: Final = random.Random(seed)
        self._count = 0

    async def run(self, seconds: float, more: Callable[[], bool]) -> None:
        """All clients for so many seconds, and on while there is to be `more`; who is under way then is waited for."""
        until = time.monotonic() + seconds
        kinds = [self._stream] * _STREAMERS + [self._json] * _ASKERS + [self._leave] * _LEAVERS
        async with asyncio.TaskGroup() as clients:
            for kind in kinds:
                clients.create_task(self._again(kind, lambda: time.monotonic() < until or more()))

    async def _again(self, kind: Callable[[int], Awaitable[None]], on: Callable[[], bool]) -> None:
        while on():
            self._count += 1
            await kind(self._count)
            await asyncio.sleep(_PAUSE)

    async def _stream(self, number: int) -> None:
        tokens = self._chance.randrange(5, 80)
        began = time.monotonic()
        heard = await self._ask(number, stream=True, tokens=tokens, ttft=0.02, itl=0.01)
        good, broken = whole(heard, tokens, seed=number), broken_off(heard, "worker_failed", seed=number)
        self._note(number, "stream", began, heard, good=good, broken=broken)

    async def _json(self, number: int) -> None:
        tokens = self._chance.randrange(2, 40)
        began = time.monotonic()
        heard = await self._ask(number, stream=False, tokens=tokens, itl=0.01)
        self._note(number, "json", began, heard, good=whole(heard, tokens, seed=number), broken=False)

    async def _leave(self, number: int) -> None:
        """Goes away somewhere on the way; what it leaves behind is looked for at the end."""
        stream = self._chance.random() < 0.7
        wire = request(stream=stream, seed=number, tokens=1000, ttft=0.02, itl=0.01)
        async with calling(self._port, wire) as conversation:
            if stream:
                await conversation.hear(events=self._chance.randrange(1, 20))
            else:
                await asyncio.sleep(0.1 * self._chance.random())
            conversation.leave(reset=self._chance.random() < 0.5)

    async def _ask(self, number: int, *, stream: bool, **script: float) -> Transcript:
        wire = request(stream=stream, seed=number, request_id=f"soak-{number}", **script)
        async with calling(self._port, wire) as conversation:
            return await conversation.hear()

    def _note(self, number: int, kind: str, began: float, heard: Transcript, *, good: bool, broken: bool) -> None:
        story = "" if good else f"{heard.status} {heard.end} {heard.body[-300:]!r}"
        self.results.append(Result(f"soak-{number}", kind, began, time.monotonic(), good, broken, story))
