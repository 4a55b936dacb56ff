"""A share of requests is asked of a candidate revision too; its answers are compared, counted and thrown away.

Begun by `api.inference` once the client has its answer, run by `app` beside the requests. A shadow takes only what
nobody wants: a worker that holds the candidate and is at most half full; it never waits, and what goes wrong with it is
no fault of a worker's.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import msgspec
from prometheus_client.core import CounterMetricFamily, Metric

from gateway.balance.prefix import NO_PREFIX
from gateway.call import Call
from gateway.errors import GatewayError
from gateway.exchange import Exchange
from gateway.patience import Patience
from gateway.pool.lease import Lease
from gateway.sse import Framer, payload
from registry.adapters import DIGITS
from registry.snapshot import Target

COMPARED: Final = frozenset({"/v1/chat/completions", "/v1/completions"})
_AT_ONCE: Final = 4
"""Shadows under way, at most; what comes beyond is passed over."""
_MOST: Final = 200
"""Series of the metric."""

_FIELDS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_STREAMS: Final = frozenset({"stream", "stream_options"})


class _Said(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    index: int = 0
    message: _Said | None = None
    delta: _Said | None = None
    text: str | None = None
    finish_reason: str | None = None


class _Answer(msgspec.Struct):
    choices: list[_Choice] = []


_ANSWER: Final = msgspec.json.Decoder(_Answer)


class Heard(NamedTuple):
    """What an answer comes to."""

    text: str
    finish: str | None


_NOTHING: Final = Heard("", None)


class Job(NamedTuple):
    """One request to mirror, and what its client was told."""

    call: Call
    target: Target
    heard: bytes


class Shadows:
    """Invariant: at most `_AT_ONCE` are under way; every job is counted once."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock: Final = clock
        self._jobs: Final[asyncio.Queue[Job]] = asyncio.Queue(_AT_ONCE)
        self._counts: Final[Counter[tuple[str, ...]]] = Counter()

    def begin(self, call: Call, target: Target, heard: bytes) -> None:
        """Mirror `call` to `target`, if there is room for it. Never waits."""
        job = Job(call, target, heard)
        try:
            self._jobs.put_nowait(job)
        except asyncio.QueueFull:
            self._count(job, "skipped")

    async def run(self) -> None:
        """Ask until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(_AT_ONCE):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            job = await self._jobs.get()
            try:
                result = await self._compared(job)
            except (GatewayError, TimeoutError, msgspec.DecodeError, UnicodeDecodeError):
                result = "failed"
            self._count(job, result)

    async def _compared(self, job: Job) -> str:
        lease = _spare(job)
        if lease is None:
            return "skipped"
        try:
            candidate = understood(await self._asked(job, lease))
        finally:
            lease.release()  # saying nothing of how it did
        if candidate == _NOTHING:
            return "failed"
        told = understood(job.heard)
        if candidate.finish != told.finish:
            return "other_finish"
        return "same" if candidate.text == told.text else "other_text"

    async def _asked(self, job: Job, lease: Lease) -> bytes:
        call = job.call
        fields = {name: value for name, value in _FIELDS.decode(call.body).items() if name not in _STREAMS}
        served_name = job.target.served_name
        body = call.engine.prepare(msgspec.json.encode(fields), served_name=served_name, want_usage=False)
        patience = Patience(call.target.model.timeouts, self._clock, stream=False)
        exchange = Exchange(f"{call.exchange.request_id[:100]}-shadow", self._clock(), "POST", call.operation.path, "")
        reply = await lease.worker.send(call.operation.path, body, patience, exchange)
        try:
            reply.check()
            return await reply.whole()
        finally:
            reply.close()

    def _count(self, job: Job, result: str) -> None:
        adapter = job.target.adapter.name if job.target.adapter else ""
        labels = (job.target.model.name, adapter, job.target.digest[:DIGITS], result)
        self._counts[labels if labels in self._counts or len(self._counts) < _MOST else ("other",) * 4] += 1

    def families(self) -> Iterator[Metric]:
        """How the answers compared."""
        names = ("model", "adapter", "revision", "outcome")
        family = CounterMetricFamily("enginehouse_shadow_requests", "Mirrored requests by outcome", labels=names)
        for labels, count in self._counts.items():
            family.add_metric(labels, count)
        yield family


def _spare(job: Job) -> Lease | None:
    """A lease that nobody else wants."""
    lease = job.call.pool.at_once(frozenset(), NO_PREFIX, job.target.needs)
    if lease is not None and lease.worker.inflight * 2 > lease.worker.view.capacity:
        lease.release()
        return None
    return lease


def understood(body: bytes) -> Heard:
    """What a whole answer, or the events of a stream, come to. Raises `msgspec.DecodeError`."""
    if body.startswith(b"{"):
        answers = [_ANSWER.decode(body)]
    else:
        datas = (payload(event) for event in Framer().feed(body))
        answers = [_ANSWER.decode(each) for each in datas if each and each != b"[DONE]"]
    text, finish = "", None
    for answer in answers:
        for choice in answer.choices:
            if choice.index == 0:
                said = choice.message or choice.delta
                text += (said.content if said else choice.text) or ""
                finish = choice.finish_reason or finish
    return Heard(text, finish)
