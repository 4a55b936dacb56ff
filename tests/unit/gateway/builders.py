"""What the gateway's unit tests are built from: small values, an ASGI client, a transport and a clock, all passed in.

A test on `jumping` runs on a loop whose clock leaps to the next timer whenever nothing else is due: an hour's limit
passes at once, and nobody sleeps.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from engines.engine import Capabilities, HttpCall, Interrupted, Launch, LaunchPlan, MetricNames
from gateway.exchange import Exchange
from gateway.operations import OPERATIONS
from registry.snapshot import ModelView, Snapshot, WorkerState, WorkerView

CHAT, COMPLETIONS, RESPONSES, MESSAGES = OPERATIONS[:4]
NOBODY = 9
"""A loopback port where nobody listens (discard)."""


# ---- time


class _Leap(selectors.DefaultSelector):
    """Looks for what is on its way for a moment, and leaps over the rest of the wait."""

    leapt = 0.0

    def select(self, timeout=None):
        moment = None if timeout is None else min(timeout, 0.005)
        ready = super().select(moment)
        if not ready and timeout:
            self.leapt += timeout
        return ready


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only where it would have waited."""

    def __init__(self):
        self._leap = _Leap()
        super().__init__(self._leap)

    def time(self):
        return self._leap.leapt


def jumping(test):
    """Run a test (a coroutine function) on a `JumpingLoop`."""

    @functools.wraps(test)
    def run(*args, **kwargs):
        with asyncio.Runner(loop_factory=JumpingLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run


class Clock:
    """A monotonic clock that a test moves by assignment."""

    def __init__(self, now: float = 100.0):
        self.now = now

    def __call__(self) -> float:
        return self.now


async def turns(count: int = 10) -> None:
    """Let everything that is ready run."""
    for _ in range(count):
        await asyncio.sleep(0)


async def cancelled(task: asyncio.Task) -> None:
    """Cancel `task` and wait for its end."""
    task.cancel()
    await asyncio.wait([task])


# ---- values


def worker_view(name="w1", port=NOBODY, state=WorkerState.READY, **rest) -> WorkerView:
    return WorkerView(id=name, url=f"http://127.0.0.1:{port}", state=state, **rest)


def model_view(*workers: WorkerView, name="m", engine="plain", **rest) -> ModelView:
    return ModelView(name=name, engine=engine, served_name=rest.pop("served_name", name), workers=workers, **rest)


def snapshot(*models: ModelView, revision=1, **rest) -> Snapshot:
    return Snapshot(revision=revision, models=models, **rest)


def exchange(**changed: Any) -> Exchange:
    values: dict[str, Any] = {
        "request_id": "req_1",
        "started": 100.0,
        "method": "POST",
        "path": CHAT.path,
        "client": "127.0.0.1",
    }
    return Exchange(**(values | changed))


_CAPABILITIES = Capabilities(frozenset(each.path for each in OPERATIONS), hot_adapters=False)
_METRICS = MetricNames("running", "waiting", "prompt", "generated")


@dataclass
class PlainEngine:
    """An engine that leaves bodies as they are and remembers what it was asked for."""

    name: str = "plain"
    asked: list = field(default_factory=list)
    capabilities: Capabilities = _CAPABILITIES
    metrics: MetricNames = _METRICS
    dead_statuses: frozenset[int] = frozenset()
    health_takes: float = 0.0

    def prepare(self, body: bytes, *, served_name: str | None, want_usage: bool, want_ids: bool = False) -> bytes:  # noqa: ARG002 - the protocol's signature
        self.asked.append((served_name, want_usage))
        return body

    def launch(self, plan: LaunchPlan) -> Launch:
        raise NotImplementedError

    def capacity(self, options: Mapping[str, object]) -> int:
        raise NotImplementedError

    def continues(self, options: Mapping[str, object]) -> bool:
        raise NotImplementedError

    def continuation(self, interrupted: Interrupted) -> HttpCall | None:
        raise NotImplementedError

    def health(self) -> HttpCall:
        raise NotImplementedError

    def warm_up(self, served_name: str) -> HttpCall:
        raise NotImplementedError

    def load_adapter(self, name: str, path: Path) -> HttpCall:
        raise NotImplementedError

    def unload_adapter(self, name: str) -> HttpCall:
        raise NotImplementedError

    def awake(self, health: bytes) -> bool:
        raise NotImplementedError

    def sleep(self) -> HttpCall | None:
        raise NotImplementedError

    def wake(self) -> HttpCall | None:
        raise NotImplementedError

    def abort(self) -> HttpCall | None:
        raise NotImplementedError


# ---- events and answers of a worker, as bytes


def sse(*datas: Any) -> bytes:
    """Server-sent events: strings as they are, everything else as JSON."""
    return b"".join(
        b"data: " + (data.encode() if isinstance(data, str) else msgspec.json.encode(data)) + b"\n\n" for data in datas
    )


def delta(content: str = "", **rest: Any) -> dict[str, Any]:
    """A chat chunk."""
    return {"choices": [{"index": 0, "delta": {"content": content, **rest}, "finish_reason": None}]}


def finish(reason: str = "stop") -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}


USAGE = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}}
WHOLE_STREAM = sse(delta("", role="assistant"), delta("Hel"), delta("lo"), finish(), "[DONE]")


def http(body: bytes = b"{}", status: int = 200, *headers: str, content_type="application/json") -> bytes:
    """A whole HTTP response."""
    lines = [f"HTTP/1.1 {status} X", f"content-type: {content_type}", f"content-length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def chunked(body: bytes, *, end: bool = True, content_type="text/event-stream") -> bytes:
    """A chunked HTTP response, an event stream by default; without its end where `end` is false."""
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ntransfer-encoding: chunked\r\n\r\n".encode()
    return head + (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + (b"0\r\n\r\n" if end else b"")


# ---- ASGI


def scope(path=CHAT.path, method="POST", headers: Iterable[tuple[bytes, bytes]] = (), **rest: Any) -> dict[str, Any]:
    values = {"type": "http", "method": method, "path": path, "headers": list(headers), "client": ("127.0.0.1", 5)}
    return values | rest


@dataclass
class Outbox:
    """The sending half of an ASGI client: keeps every message; `hurdle` is awaited before each."""

    messages: list = field(default_factory=list)
    hurdle: Callable[[Any], Awaitable[None]] | None = None

    async def __call__(self, message: Any) -> None:
        if self.hurdle is not None:
            await self.hurdle(message)
        self.messages.append(message)

    @property
    def status(self) -> int:
        return self.messages[0]["status"]

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.messages[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages[1:])

    @property
    def error(self) -> dict[str, Any]:
        return msgspec.json.decode(self.body)["error"]

    @property
    def ended(self) -> bool:
        """Whether the answer was ended, exactly once and last."""
        ends = [message["type"] == "http.response.body" and not message["more_body"] for message in self.messages]
        return sum(ends) == 1 and ends[-1]


class Inbox:
    """The receiving half: gives `messages`, then waits until `leave` is called."""

    def __init__(self, *messages: Any):
        self._messages = list(messages)
        self._left = asyncio.Event()

    def leave(self) -> None:
        self._left.set()

    async def __call__(self) -> Any:
        if self._messages:
            return self._messages.pop(0)
        await self._left.wait()
        return {"type": "http.disconnect"}


def part(body: bytes = b"", *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


async def nothing(_scope: Any, _receive: Any, send: Any) -> None:
    """An application that answers 204."""
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def raising(error: BaseException, *, begun: bool = False):
    """An application that raises `error`, after having begun to answer where `begun`."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        if begun:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise error

    return app


class Wire(asyncio.Transport):
    """A transport without a socket: keeps what was written and says how it was treated."""

    def __init__(self, **extra):
        super().__init__(extra)
        self.written = b""
        self.paused = False
        self.aborted = False
        self.unsent = 0

    def write(self, data):
        self.written += data

    def pause_reading(self):
        assert not self.paused
        self.paused = True

    def resume_reading(self):
        self.paused = False

    def get_write_buffer_size(self):
        return self.unsent

    def abort(self):
        self.aborted = True

    def close(self):
        self.abort()

    def is_closing(self):
        return self.aborted


class Body:
    """A worker's body as the relay sees it: `pieces` one by one (errors are raised), then silence."""

    def __init__(self, *pieces: Any, status: int = 200):
        self.pieces = list(pieces)
        self.status = status
        self.held = False
        self.closed: list[bool] = []
        """What `close` was told, each time: whether the answer was complete."""
        self.sink: Any = None

    async def next(self, *, first: bool = False) -> bytes:  # noqa: ARG002 - a body has one pace
        if not self.pieces:
            await asyncio.Event().wait()
        piece = self.pieces.pop(0)
        if isinstance(piece, Exception):
            raise piece
        return piece

    def flow(self, sink: Any) -> None:
        self.sink = sink
        self.push()

    def push(self) -> None:
        """Everything that is there, as long as it is taken."""
        while self.pieces and self.sink is not None and not self.held:
            piece = self.pieces.pop(0)
            if isinstance(piece, Exception):
                self.sink.broke(piece)
            else:
                self.sink.arrived(piece)

    def hold(self) -> None:
        self.held = True

    def go_on(self) -> None:
        self.held = False
        self.push()

    def close(self, *, complete: bool = False) -> None:
        self.closed.append(complete)
        self.sink = None


class Socket:
    """A `gateway.wire.Wire` without a socket: keeps what was written; `full` and `fills` are the test's."""

    def __init__(self):
        self.written = b""
        self.full = False
        self.closed = False
        self.ends: list[str] = []
        self.lost: Callable[[], None] | None = None
        self.fills = False
        """Whether every write is more than the client takes."""
        self.filled: Callable[[], None] | None = None
        self.drained: Callable[[], None] | None = None

    def on_full(self, full: Callable[[], None] | None) -> None:
        self.filled = full

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    def on_lost(self, lost: Callable[[], None] | None) -> None:
        self.lost = lost

    def on_drained(self, drained: Callable[[], None] | None) -> None:
        self.drained = drained

    def open(self, status: int, headers: Any, body: bytes = b"") -> None:
        lines = [b"HTTP/1.1 %d X" % status, *(name + b": " + value for name, value in headers)]
        self.written += b"\r\n".join(lines) + b"\r\n\r\n" + body

    def write(self, data: bytes) -> None:
        self.written += data
        if self.fills and self.filled is not None:
            self.full = True
            self.filled()

    def close(self) -> None:
        self.ends.append("close")

    def cut(self) -> None:
        self.ends.append("cut")
