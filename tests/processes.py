"""Real processes for story tests: fake workers, gateways, and a stand-in for the supervisor between them.

Everything is a context manager that leaves nothing running. The stand-in lives in threads of its own, so that tests
with and without an event loop use it alike. Used by the fixtures of `tests/conftest.py`, and directly where a test
needs more than one of a kind.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec

from registry.snapshot import ModelView, Snapshot, WorkerState, WorkerView, encode
from tests.waiting import until

ROOT: Final = Path(__file__).resolve().parent.parent
READY: Final = 60.0
"""Seconds that a process may take to answer, on a machine that is busy with other things."""


@contextmanager
def short_folder() -> Iterator[Path]:
    """A new folder with a path short enough for Unix sockets (108 bytes); pytest's own are not."""
    folder = Path(tempfile.mkdtemp(prefix="eh-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


@contextmanager
def running(process: subprocess.Popen[bytes], grace: float = 5.0) -> Iterator[subprocess.Popen[bytes]]:
    """`process`, asked to stop at the end, then killed, always reaped."""
    try:
        yield process
    finally:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.terminate()
            process.wait(grace)
        process.kill()
        process.wait()


def offspring(pid: int) -> set[int]:
    """A process and all that it started, in whatever session; some of them may have ended meanwhile."""
    found = {pid}
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found.update(*(offspring(int(child)) for child in children.read_text().split()))
    return found


@dataclass(frozen=True)
class FakeWorker:
    """A running fake engine and its remote control (`engines.fake`)."""

    process: subprocess.Popen[bytes]
    port: int
    key: str
    client: httpx.Client = field(repr=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def view(self, **changes: Any) -> WorkerView:
        """How a snapshot tells of it: ready, under an id of its own."""
        known = WorkerView(
            id=f"w{self.process.pid}",
            url=self.url,
            state=WorkerState.READY,
            key=self.key,
            fingerprint="fake",
            context=2048,
        )
        return msgspec.structs.replace(known, **changes)

    def script(self, **behaviour: Any) -> None:
        """Behave so from now on, and otherwise well."""
        answer = self.client.post("/fake/script", json={"reset": True, "set": behaviour})
        assert answer.status_code == 200, answer.text

    def counts(self) -> dict[str, int]:
        """What it has seen so far."""
        return self.client.get("/fake/counts").json()

    def last(self) -> dict[str, Any]:
        """The last generation request, as it came: method, path, headers, body."""
        return self.client.get("/fake/last").json()

    def kill(self) -> None:
        """Gone at once, as after a crash."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@contextmanager
def fake_worker(*options: str, key: str = "worker-key", port: int = 0) -> Iterator[FakeWorker]:
    """A fake worker that answers, started with `options`; `port` 0 is any that is free."""
    port = port or free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "engines.fake", "--port", str(port), "--served-name", "small", *options],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "VLLM_API_KEY": key},
        stdout=subprocess.DEVNULL,
    )
    with running(process), _client(port) as client:
        until(lambda: _answers(client, "/health"), within=READY, what="the fake worker's /health")
        yield FakeWorker(process, port, key, client)


class Supervisor:
    """A stand-in for the supervisor's end of the control channel: publishes snapshots, keeps what gateways say.

    Invariant: every gateway that is connected has been sent the newest snapshot.
    """

    def __init__(self, path: Path) -> None:
        self.path: Final = path
        self.heard: Final[list[dict[str, Any]]] = []
        """The messages of the gateways, in order."""
        self.revision = 0
        self._newest = b""
        self._gateways: Final[list[socket.socket]] = []
        self._lock: Final = threading.Lock()
        self._listener: Final = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._threads: Final = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def publish(self, *models: ModelView, reload_error: str = "") -> int:
        """Send a new snapshot to everyone; returns its revision."""
        with self._lock:
            self.revision += 1
            self._newest = encode(Snapshot(self.revision, models, reload_error=reload_error))
            for gateway in self._gateways:
                with contextlib.suppress(OSError):
                    gateway.sendall(self._newest)
        return self.revision

    def close(self) -> None:
        """Gone: every gateway sees the end of the channel."""
        for each in (self._listener, *self._gateways):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                gateway, _ = self._listener.accept()
                with self._lock:
                    self._gateways.append(gateway)
                    gateway.sendall(self._newest)
                thread = threading.Thread(target=self._listen, args=(gateway,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _listen(self, gateway: socket.socket) -> None:
        with gateway, gateway.makefile("rb") as lines, contextlib.suppress(OSError):
            self.heard.extend(msgspec.json.decode(line) for line in lines)


@dataclass(frozen=True)
class Gateway:
    """A running gateway process and the supervisor that it follows."""

    process: subprocess.Popen[bytes]
    port: int
    supervisor: Supervisor
    log_file: Path
    client: httpx.Client = field(repr=False)
    """Plain HTTP to it, without a key."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def publish(self, *models: ModelView, reload_error: str = "") -> None:
        """Make `models` the truth, and wait until the gateway has taken it over."""
        revision = self.supervisor.publish(*models, reload_error=reload_error)
        until(lambda: self._revision() >= revision, within=READY, what=f"snapshot {revision} in the gateway")

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric over all its series that have `labels`."""
        lines = self.client.get("/metrics", headers=self._key()).text.splitlines()
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        series = (line for line in lines if line.startswith((f"{name}{{", f"{name} ")))
        return sum(float(line.rsplit(" ", 1)[1]) for line in series if all(each in line for each in wanted))

    def _revision(self) -> int:
        return self.client.get("/readyz", params={"verbose": ""}, headers=self._key()).json()["snapshot"]

    def _key(self) -> dict[str, str]:
        return {"authorization": "Bearer admin-key"}


@contextmanager
def gateway(folder: Path, *options: str, env: Mapping[str, str] | None = None) -> Iterator[Gateway]:
    """A gateway as the supervisor starts it: on an inherited socket, following a control socket in `folder`."""
    supervisor = Supervisor(folder / "control.sock")
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    port: int = listener.getsockname()[1]
    log_file = folder / "gateway.log"
    number = listener.fileno()
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway", "--fd", str(number), "--control", str(supervisor.path), *options],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], **(env or {})},
            stderr=log,
            pass_fds=[number],
        )
    try:
        with running(process), _client(port) as client:
            until(lambda: _answers(client, "/livez"), within=READY, what="the gateway's /livez")
            yield Gateway(process, port, supervisor, log_file, client)
    finally:
        supervisor.close()
        listener.close()


def model(*workers: FakeWorker | WorkerView, **changes: Any) -> ModelView:
    """The model `small`, alias `default`, on `workers`."""
    views = tuple(each.view() if isinstance(each, FakeWorker) else each for each in workers)
    known = ModelView(
        name="small", engine="vllm", served_name="small", aliases=("default",), context=2048, workers=views
    )
    return msgspec.structs.replace(known, **changes)


def _client(port: int) -> httpx.Client:
    return httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=READY, trust_env=False)


def _answers(client: httpx.Client, path: str) -> bool:
    try:
        return client.get(path).status_code == 200
    except httpx.TransportError:
        return False
