"""Paces one generation onto the wire and commits the faults that its script asks for, at the scripted token."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from engines.fake.behaviour import Behaviour
from engines.fake.counts import Counts
from engines.fake.dialects.dialect import Dialect, Shape
from engines.fake.job import Job
from engines.fake.pace import Pace
from engines.fake.wire import Exchange

_BIG: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Generation:
    """One request being answered. Invariant: `counts` hold every token that was made, sent or not."""

    job: Job
    shape: Shape
    dialect: Dialect
    behaviour: Behaviour
    exchange: Exchange
    pace: Pace
    counts: Counts
    draw: Callable[[], float]

    async def answer(self) -> None:
        """The whole answer, streamed or not."""
        if self.job.stream:
            await self._stream()
        else:
            await self._whole()

    async def _whole(self) -> None:
        finish = self.job.finish
        for index in range(len(self.job.words)):
            await self._wait(index)
            if self._aborted(index):
                finish = "abort"
                break
            await self._die_or_hang(index)
            self._made(first=index == 0)
        body = msgspec.json.encode(self.shape.whole(self.job, finish))
        await self.exchange.plain(200, body)

    async def _stream(self) -> None:
        job, exchange = self.job, self.exchange
        await exchange.begin()
        last = len(job.words) - 1
        finish = job.finish
        made = 0
        for index in range(len(job.words)):
            await self._wait(index)
            if index == 0:
                await self._open()
            if self._aborted(index):
                finish = "abort"
                break
            await self._die_or_hang(index)
            if index == self.behaviour.error_at:
                await self._fail(made)
                return
            for choice in range(job.choices):
                event = self.shape.token(job, choice, index, "length" if index == last and finish == "length" else None)
                await self._send(index, event)
                self._made(first=made == 0)
                made += 1
        if not job.words:
            await self._open()
        await self._close(finish, made)

    async def _open(self) -> None:
        for event in self.shape.opening(self.job):
            await self.exchange.event(event)

    async def _close(self, finish: str, made: int) -> None:
        events = self.shape.closing(self.job, finish, made)
        if self.shape.done and not self.behaviour.no_done:
            events.append(self.shape.done)
        for event in events:
            await self.exchange.event(event, last=event is events[-1])
        await self.exchange.finish()

    async def _fail(self, made: int) -> None:
        """The engine's error event, then `[DONE]` as if all were well."""
        for event in self.dialect.breaking(self.job, made):
            await self.exchange.event(event)
        if self.shape.done and not self.behaviour.no_done:
            await self.exchange.event(self.shape.done)
        await self.exchange.finish()

    async def _send(self, index: int, event: bytes) -> None:
        behaviour = self.behaviour
        if index == behaviour.truncate_at:
            await self.exchange.half(event)
        if index == behaviour.malformed_at:
            event = event[: len(event) // 2].rstrip(b"\n") + b"\n\n"
        if index == behaviour.bad_utf8_at:
            event = event.replace(b"w0", b"\xff\x00", 1)
        if index == behaviour.big_at:
            event = event.replace(b"w0", b"w0" + b"x" * _BIG, 1)
        await self.exchange.event(event)

    async def _wait(self, index: int) -> None:
        behaviour = self.behaviour
        seconds = behaviour.itl if index else behaviour.ttft
        if behaviour.jitter:
            seconds *= 1 + behaviour.jitter * self.draw()
        if index:
            await self.pace.wait(seconds)
            return
        with self.counts.gauge("prefilling"):
            await self.pace.wait(seconds)

    async def _die_or_hang(self, index: int) -> None:
        if index == self.behaviour.exit_at:
            os._exit(1)
        if index == self.behaviour.hang_at:
            await self.pace.wait(None)

    def _aborted(self, index: int) -> bool:
        return self.pace.aborting or index == self.behaviour.abort_at

    def _made(self, *, first: bool) -> None:
        # As vLLM counts: a prompt with its first token.
        self.counts.prompt_tokens += len(self.job.prompt_ids) if first else 0
        self.counts.generation_tokens += 1
        if self.exchange.left.is_set():
            self.counts.after_leave += 1
