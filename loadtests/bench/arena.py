"""Starts and stops the servers: the mock engine on the load's core, each contestant alone on the other.

Called by `gateway_bench`. Everything listens on 127.0.0.1; whatever was started is stopped, by process group.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from string import Template

import msgspec

from loadtests.bench.contestants import Contestant
from loadtests.bench.control import ControlStandIn, catalogue
from loadtests.bench.native import LOAD_CORE, pinned
from loadtests.bench.peers import ensure
from loadtests.ports import free_port

SERVER_CORE = 0
_START_SECONDS = 90.0
_STOP_SECONDS = 5.0


class EngineStats(msgspec.Struct, frozen=True):
    """What the mock engine counted since its start."""

    connections: int
    open: int
    requests: int
    streams: int
    finished: int
    aborted: int

    @property
    def open_streams(self) -> int:
        """Streams that are still being sent to somebody."""
        return self.streams - self.finished - self.aborted


@dataclass(frozen=True, slots=True)
class Server:
    """A contestant that answers. `pid` 0: there is no process (direct)."""

    name: str
    port: int
    pid: int
    control: ControlStandIn | None = None


@dataclass(frozen=True, slots=True)
class Arena:
    """Where contestants are started: the caches, the mock engine's port, the key of this run."""

    cache: Path
    engine_port: int
    key: str


class ContestantFailed(Exception):
    """It did not start, or did not relay; the message ends with the last lines of its log."""


@contextlib.contextmanager
def mock_engine(native: Path) -> Iterator[int]:
    """The mock engine; its port."""
    port = free_port()
    argv = pinned(LOAD_CORE, str(native / "mock_engine"), "--port", str(port))
    process = subprocess.Popen(argv, start_new_session=True)
    try:
        _await(lambda: _ask(port, "GET", "/health") is not None, process, "the mock engine", Path(os.devnull))
        yield port
    finally:
        _stop(process)


def engine_stats(port: int) -> EngineStats:
    """What the mock engine at `port` counted."""
    return msgspec.json.decode(_ask(port, "GET", "/stats") or b"", type=EngineStats)


@contextlib.contextmanager
def contestant(who: Contestant, arena: Arena) -> Iterator[Server]:
    """`who`, started, pinned and relaying. Raises `ContestantFailed`."""
    if not who.command:
        yield Server(who.name, arena.engine_port, 0)
        return
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=f"bench-{who.name}-")))
        folder.chmod(0o755)  # nginx's worker may run as another user
        listener = stack.enter_context(_listener()) if who.snapshot else None
        port = listener.getsockname()[1] if listener else free_port()
        control = stack.enter_context(_control(folder, arena)) if who.snapshot else None
        places = _places(who, arena, folder, port, listener)
        process = stack.enter_context(_running(who, places, folder, listener))
        log = folder / "log"
        _await(lambda: _relays(port, arena.key), process, who.name, log)
        yield Server(who.name, port, process.pid, control)


def _listener() -> socket.socket:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(4096)
    return listener


def _control(folder: Path, arena: Arena) -> ControlStandIn:
    return ControlStandIn(folder / "control.sock", catalogue(arena.engine_port))


def _places(
    who: Contestant, arena: Arena, folder: Path, port: int, listener: socket.socket | None
) -> Mapping[str, str]:
    nginx = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if nginx is None:
        raise ContestantFailed("nginx is what everything is compared with: install it (apt-get install nginx-light)")
    return {
        "port": str(port),
        "engine_port": str(arena.engine_port),
        "spare_port": str(free_port()),
        "folder": str(folder),
        "key": arena.key,
        "python": sys.executable,
        "nginx": nginx,
        "peer": str(ensure(who.package, arena.cache)) if who.package else "",
        "fd": str(listener.fileno()) if listener else "",
        "control": str(folder / "control.sock"),
    }


@contextlib.contextmanager
def _running(
    who: Contestant, places: Mapping[str, str], folder: Path, listener: socket.socket | None
) -> Iterator[subprocess.Popen[bytes]]:
    for name, template in who.files.items():
        (folder / name).write_text(Template(template).substitute(places))
    argv = [Template(word).substitute(places) for word in who.command]
    added = {name: Template(value).substitute(places) for name, value in who.environment.items()}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            pinned(SERVER_CORE, *argv),
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **added},
            pass_fds=(listener.fileno(),) if listener else (),
            start_new_session=True,
        )
    try:
        yield process
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    for last_word in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, last_word)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)


def _await(ready: Callable[[], bool], process: subprocess.Popen[bytes], name: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            raise ContestantFailed(f"{name} does not relay:\n{tail}")
        time.sleep(0.1)


def _relays(port: int, key: str) -> bool:
    body = {"model": "mock", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 2}
    return _ask(port, "POST", "/v1/chat/completions", json.dumps(body), key) is not None


def _ask(port: int, method: str, path: str, body: str | None = None, key: str = "") -> bytes | None:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        text = answer.read()
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()
    return text if answer.status == 200 else None
