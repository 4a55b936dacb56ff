"""What most fault tests play on: two fake workers behind a real gateway, and the requests that are sent to it.

Every request carries a seed of its own, which its words are bound to: a word that strays into another answer is seen.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from registry.snapshot import ModelView
from tests.faults.client import End, Transcript, ask, post
from tests.faults.verify import Findings, inspect, inspect_part, text_of
from tests.processes import FakeWorker, Gateway, model

CHAT: Final = "/v1/chat/completions"
SEED: Final = int(os.environ.get("SEED", "1"))
"""Of all chance in the fault tests."""

Measure = Callable[[str, str, float], None]
"""`measured(row, what, seconds)`: a line of `make faults-report`."""


@dataclass(frozen=True)
class Pair:
    """A gateway and two workers; which of them serve is published by the test."""

    gateway: Gateway
    first: FakeWorker
    second: FakeWorker

    @property
    def port(self) -> int:
        return self.gateway.port

    def publish(self, **changes: Any) -> None:
        """Both workers serve."""
        self.gateway.publish(model(self.first, self.second, **changes))

    def publish_as(self, view: ModelView) -> None:
        self.gateway.publish(view)

    @property
    def calls(self) -> int:
        """Generations that the workers were asked for so far."""
        return self.first.counts()["requests"] + self.second.counts()["requests"]


def request(*, stream: bool = True, seed: int = 0, request_id: str = "", path: str = CHAT, **script: Any) -> bytes:
    """A chat on the wire; `script` is what the fake worker does with it."""
    body = {"model": "small", "messages": [{"role": "user", "content": "hi"}], "stream": stream, "seed": seed}
    headers = {"x-request-id": request_id} if request_id else {}
    return post(path, body | ({"x_fake": script} if script else {}), headers)


def whole(heard: Transcript, tokens: int = 16, *, seed: int = 0) -> bool:
    """Whether an answer is complete, once and in order: a stream to its `[DONE]`, or a JSON answer."""
    if heard.status != 200 or heard.end is not End.COMPLETE:
        return False
    if heard.headers["content-type"].startswith("application/json"):
        return inspect(heard.json()["choices"][0]["message"]["content"], tokens, key=seed).clean
    return (heard.done, heard.errors, heard.half) == (1, [], "") and words(heard, tokens, seed=seed).clean


def words(heard: Transcript, tokens: int = 16, *, seed: int = 0) -> Findings:
    return inspect(text_of(heard.events), tokens, key=seed)


def broken_off(heard: Transcript, code: str, *, seed: int = 0) -> bool:
    """Whether a stream ended as DESIGN §4 wants: what had come, one error event, no `[DONE]`, no half event."""
    told = [error.get("code") for error in heard.errors]
    framed = (heard.status, heard.end, heard.done, heard.half) == (200, End.COMPLETE, 0, "")
    return framed and told == [code] and inspect_part(text_of(heard.events), key=seed).clean


def refused(heard: Transcript, status: int, code: str) -> bool:
    """Whether an answer is this refusal in the envelope, with its request id; a 503 says when to come back."""
    if (heard.status, heard.end) != (status, End.COMPLETE):
        return False
    hinted = status != 503 or int(heard.headers["retry-after"]) >= 1
    return heard.json()["error"]["code"] == code and bool(heard.headers["x-request-id"]) and hinted


async def together(work: Iterable[Awaitable[Any]]) -> list[Any]:
    """All of it at once; the results in order."""

    async def result(one: Awaitable[Any]) -> Any:
        return await one

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(result(one)) for one in work]
    return [task.result() for task in tasks]


async def in_turns(count: int, wide: int, work: Callable[[int], Awaitable[Any]]) -> list[Any]:
    """`work(0)` … `work(count - 1)`, `wide` of them at a time; the results in order."""
    room = asyncio.Semaphore(wide)

    async def one(number: int) -> Any:
        async with room:
            return await work(number)

    return await together(one(number) for number in range(count))


async def asked(pair: Pair, wires: Iterable[bytes]) -> list[Transcript]:
    """All of them at once, each answer read to its end."""
    return await together(ask(pair.port, wire) for wire in wires)


@asynccontextmanager
async def meanwhile(work: Awaitable[Any]) -> AsyncIterator[asyncio.Task[Any]]:
    """`work` goes on during the block, and is waited for at its end."""

    async def run() -> Any:
        return await work

    async with asyncio.TaskGroup() as group:
        yield group.create_task(run())


@contextmanager
def timed(measured: Measure, row: str, what: str) -> Iterator[None]:
    """Measure the block."""
    began = time.perf_counter()
    yield
    measured(row, what, time.perf_counter() - began)


def resident(gateway: Gateway) -> int:
    """Bytes of memory that the gateway's process holds."""
    pages = int(Path(f"/proc/{gateway.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(gateway: Gateway) -> float:
    """What the gateway's process has used."""
    fields = Path(f"/proc/{gateway.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def descriptors(gateway: Gateway) -> int:
    return len(list(Path(f"/proc/{gateway.process.pid}/fd").iterdir()))


def bugs(gateway: Gateway) -> str:
    """The first traceback in the gateway's log; empty where there is none."""
    _, found, rest = gateway.log.partition("Traceback")
    return found + rest[:3000]
