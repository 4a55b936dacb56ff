"""`python placer.py FD`: places one worker on a Ray cluster and lives as long as it. Run by `launchers.ray`.

A stand-alone program for an environment with Ray in it; it imports nothing else but the standard library. It is a
driver of the cluster with one actor, its `Host`, which Ray puts onto a node with the resources that were asked for.
FD is a socket to the supervisor; on it go JSON lines, in this order:

    ←  {"address", "options", "must_exist"}   what to ask Ray for, and which paths the node must have
    →  {"host", "port", "node"}               the node, and a port of it that was free a moment ago
    ←  {"argv", "env", "keeper", "grace"}     the command line, which could not be built before that
    →  {"ended"}                              how it ended, in words, where the exit status does not say it

The engine's output is written to stdout, and the exit status is the engine's. Nobody is left behind: the actor dies
with this program (Ray), or if it has not been asked for news for a while (`_PATIENCE`: a network that was cut), and
the engine dies with the actor (its keeper).
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any, Final

import ray
from ray import exceptions

_PATIENCE: Final = 60.0
"""Seconds without a question after which a host takes its driver for lost, and the other way about."""
_NEWS_WITHIN: Final = 5.0
"""Seconds that a host lets its driver wait for news before it says that there are none."""
_LOOK: Final = 0.2
"""Seconds between two looks whether the supervisor wants it to end: a signal cannot interrupt Ray's own waits."""
_KNOCK_WITHIN: Final = 10.0
_KNOCK_AGAIN: Final = 2.0
_TELL_FIRST: Final = 2.0
_TELL_AGAIN: Final = 30.0
"""Seconds between two lines about a cluster that has no room."""
_CHUNK: Final = 65536
_FAILED: Final = 1
_LOST: Final = 1

_DETACH: Final = """
import os, sys
if os.fork():
    os._exit(0)
os.setsid()
space = {"__name__": "keeper"}
exec(compile(sys.argv[1], "keeper", "exec"), space)
told = os.dup(int(sys.argv[3]))
status = space["main"](sys.argv[2:])
os.write(told, b"%d\\n" % status)
"""
"""Runs the keeper as nobody's child: Ray kills the direct children of an actor that ends, the keeper among them, and
then nobody could end what the engine started. Its report is the engine's pid and, at the end, the exit status."""


class Stopped(Exception):
    """The supervisor wants it to end."""


class Refused(Exception):
    """It cannot be done; the message says why."""


class Host:
    """The actor: one engine on one node. Invariant: its engine never outlives it."""

    def __init__(self) -> None:
        self._heard = time.monotonic()
        self._news: queue.SimpleQueue[tuple[bytes, int | None]] = queue.SimpleQueue()
        self._engine = 0
        self._stdin = -1
        threading.Thread(target=self._watch, daemon=True).start()

    def node(self) -> str:
        """Where it has come to life."""
        self._heard = time.monotonic()
        return str(ray.get_runtime_context().get_node_id())

    def missing(self, must_exist: Mapping[str, str]) -> list[str]:
        """What of these paths is not on this node, by its name."""
        return [what for what, path in must_exist.items() if not os.path.exists(path)]  # noqa: PTH110 - text came, and text is enough

    def port(self, host: str) -> int:
        """One that is free now at this address of the node."""
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.bind((host, 0))
            free: int = probe.getsockname()[1]
        return free

    def start(self, argv: list[str], env: dict[str, str], keeper: str) -> None:
        """Starts the engine under a keeper without grace: whoever wants it to end in order calls `stop` before."""
        seen = {name: value for name, value in os.environ.items() if name.endswith("_VISIBLE_DEVICES")}
        # An engine that places its own parts by Ray does so on the same cluster.
        seen["RAY_ADDRESS"] = ray.get_runtime_context().gcs_address
        report, reported = os.pipe()
        with subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _DETACH, keeper, "0", str(reported), *argv],
            env=env | seen, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            pass_fds=(reported,),
        ) as parent:  # fmt: skip
            assert parent.stdin is not None  # noqa: S101 (for the type checker)
            assert parent.stdout is not None  # noqa: S101 (for the type checker)
            # Its own descriptors: the process above ends at once, and takes its own with it.
            self._stdin, output = os.dup(parent.stdin.fileno()), os.dup(parent.stdout.fileno())
        os.close(reported)
        threading.Thread(target=self._attend, args=(report, output), daemon=True).start()

    def news(self) -> tuple[bytes, int | None]:
        """What the engine has written since, and its exit status once it has ended; waits a little for either."""
        self._heard = time.monotonic()
        try:
            return self._news.get(timeout=_NEWS_WITHIN)
        except queue.Empty:
            return b"", None

    def stop(self, grace: float) -> None:
        """SIGTERM to the engine's group; after `grace` seconds its keeper ends what is left."""
        if self._engine:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._engine, signal.SIGTERM)
        threading.Timer(grace, self._end).start()

    def _end(self) -> None:
        stdin, self._stdin = self._stdin, -1
        if stdin >= 0:
            os.close(stdin)

    def _attend(self, report: int, output: int) -> None:
        """Passes the engine's output on until all of it has ended."""
        with os.fdopen(report, "rb") as told:
            self._engine = int(told.readline() or b"0")
            while chunk := os.read(output, _CHUNK):
                self._news.put((chunk, None))
            self._news.put((b"", int(told.readline() or b"137")))

    def _watch(self) -> None:
        """A driver that is out of reach is as good as gone: its supervisor has started another worker by then."""
        while time.monotonic() - self._heard < _PATIENCE:
            time.sleep(1)
        os._exit(1)


class Channel:
    """The socket to the supervisor, as JSON lines."""

    def __init__(self, number: int) -> None:
        os.set_inheritable(number, False)
        self._socket: Final = socket.socket(fileno=number)
        self._lines: Final[IO[bytes]] = self._socket.makefile("rb")

    def say(self, **fields: object) -> None:
        """One line; nothing where nobody listens any more, for then this program is about to be ended."""
        with contextlib.suppress(OSError):
            self._socket.sendall(json.dumps(fields).encode() + b"\n")

    def hear(self) -> dict[str, Any]:
        """The next line. Raises `Stopped` where there will be none."""
        line = self._lines.readline()
        if not line:
            raise Stopped
        heard: dict[str, Any] = json.loads(line)
        return heard


def main(number: int) -> int:
    """Places, starts, follows. Returns the engine's exit status."""
    channel, stop = Channel(number), threading.Event()
    try:
        order = channel.hear()
        with _cluster(order["address"]):
            # Ray has put a handler of its own, which would end the program at once, actor and all.
            signal.signal(signal.SIGTERM, lambda *_: stop.set())
            return _serve(channel, order, stop)
    except Stopped:
        return 128 + signal.SIGTERM
    except (Refused, exceptions.RayError, ConnectionError, OSError, RuntimeError, ValueError) as fault:
        _write(f"error: {_sentence(fault)}\n".encode())
        return _FAILED


@contextmanager
def _cluster(address: str) -> Iterator[None]:
    """Waits as long as there is none: a head that is started again is away for a while."""
    tell_at = time.monotonic()
    while fault := _joined(address):
        if time.monotonic() >= tell_at:
            tell_at = time.monotonic() + _TELL_AGAIN
            _write(f"waiting for the Ray cluster at {address}: {fault}\n".encode())
        time.sleep(_KNOCK_AGAIN)
    try:
        yield
    finally:
        ray.shutdown()


def _joined(address: str) -> str:
    """Why there is no cluster; empty where we are its driver now. Raises `Refused` where it will never have us."""
    host, _, port = address.rpartition(":")
    try:
        if host:  # Ray itself asks a wrong address for many minutes
            socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK_WITHIN).close()
        ray.init(address=address, log_to_driver=False, logging_level="CRITICAL", namespace="enginehouse")
    except OSError as fault:  # Ray's own is a ConnectionError
        return _sentence(fault)
    except (RuntimeError, ValueError) as fault:
        raise Refused(f"the Ray cluster at {address}: {_sentence(fault)}") from fault
    return ""


def _serve(channel: Channel, order: Mapping[str, Any], stop: threading.Event) -> int:
    host = ray.remote(Host).options(**order["options"], max_restarts=0, max_task_retries=0, max_concurrency=4).remote()
    node = _placed(host, order["options"], stop)
    address = next(each["NodeManagerAddress"] for each in ray.nodes() if each["NodeID"] == node)
    _write(f"placed on node {address} ({node})\n".encode())
    try:
        if missing := ray.get(host.missing.remote(order["must_exist"])):
            named = ", ".join(missing)
            raise Refused(f"{named} not found on node {address}: share the folder among all nodes, or use one image")
        channel.say(host=address, port=ray.get(host.port.remote(address)), node=node)
        launch = channel.hear()
        ray.get(host.start.remote(launch["argv"], launch["env"], launch["keeper"]))
        return _follow(host, stop, launch["grace"])
    except exceptions.RayActorError as lost:
        channel.say(ended=f"lost on node {address} of the Ray cluster: {_sentence(lost)}")
        return _LOST


def _placed(host: Any, options: Mapping[str, Any], stop: threading.Event) -> str:
    """The node that the actor has come to life on; waits as long as the cluster has no room for it."""
    asked, tell_at = host.node.remote(), time.monotonic() + _TELL_FIRST
    while not _done(asked, stop):
        if time.monotonic() > tell_at:
            tell_at = time.monotonic() + _TELL_AGAIN
            _write(f"waiting for a node of the Ray cluster with {json.dumps(options)}: {_room()}\n".encode())
    return str(ray.get(asked))


def _done(asked: Any, stop: threading.Event) -> bool:
    """Whether there is an answer; waits a moment for it. Raises `Stopped`."""
    if stop.is_set():
        raise Stopped
    return bool(ray.wait([asked], timeout=_LOOK)[0])


def _room() -> str:
    """What the cluster could still give away, in all."""
    kinds = ("CPU", "GPU")
    free, whole = ray.available_resources(), ray.cluster_resources()
    shown = [f"{free.get(kind, 0):g} of {whole[kind]:g} {kind}" for kind in kinds if kind in whole]
    others = [kind for kind in whole if kind not in kinds and ":" not in kind and "memory" not in kind]
    shown += [f"{free.get(kind, 0):g} of {whole[kind]:g} {kind}" for kind in others]
    return f"{', '.join(shown) or 'nothing'} free"


def _follow(host: Any, stop: threading.Event, grace: float) -> int:
    """Writes down what the engine says until it ends; passes on that it shall. Returns its exit status."""
    status, in_reach, asked_to_stop = None, time.monotonic(), False
    while status is None:
        asked = host.news.remote()
        while not ray.wait([asked], timeout=_LOOK)[0]:
            if stop.is_set() and not asked_to_stop:
                host.stop.remote(grace)
                asked_to_stop = True
        try:
            output, status = ray.get(asked)
        except exceptions.ActorUnavailableError:
            # The network between us may be back in a moment; the host waits as long.
            if time.monotonic() - in_reach > _PATIENCE:
                raise
            time.sleep(_LOOK)
            continue
        in_reach = time.monotonic()
        _write(output)
    return int(status)


def _sentence(fault: BaseException) -> str:
    """The first line of what Ray says, which has pages of it."""
    lines = [line.strip() for line in str(fault).splitlines() if line.strip()]
    return (lines[0] if lines else type(fault).__name__)[:300]


def _write(output: bytes) -> None:
    sys.stdout.buffer.write(output)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
