"""A Ray cluster of several nodes on this machine: one `ray start --block` a node, each a session of its own.

Nothing of it is left when the block is left: every process of a node's session is killed, and every other one that was
started for its folder. If the tests themselves are killed, the kernel ends `ray start`, and that what it started.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from engines.processes import tether
from tests.processes import free_port

STORE = 80_000_000
"""Bytes of each node's object store: the least that Ray takes."""
PROC = Path("/proc")
TETHER = (sys.executable, "-I", "-S", tether.__file__)


@dataclass(frozen=True)
class Cluster:
    """Its head runs; further nodes come and go."""

    ray: Path
    folder: Path
    port: int
    env: dict[str, str]

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @contextmanager
    def node(self, ip: str, *head: str) -> Iterator[Node]:
        """A node with this address and one CPU: the raylet and what it starts."""
        argv = [str(self.ray), "start", "--block", "--disable-usage-stats", f"--node-ip-address={ip}"]
        argv += ["--num-gpus=0", f"--object-store-memory={STORE}", "--include-log-monitor=false", "--num-cpus=1"]
        argv += head or [f"--address={self.address}"]
        with (self.folder / f"node-{ip}.log").open("ab") as log:
            process = subprocess.Popen(
                [*TETHER, str(os.getpid()), *argv], env=self.env, stdout=log, stderr=log, start_new_session=True
            )
        try:
            yield Node(ip, process)
        finally:
            Node(ip, process).kill()


@dataclass(frozen=True)
class Node:
    """One machine, as far as Ray knows."""

    ip: str
    process: subprocess.Popen[bytes]

    def kill(self) -> None:
        """Its raylet first, as if the machine had gone; then all the rest of it."""
        members = [pid for pid in pids() if session(pid) == self.process.pid]
        for pid in sorted(members, key=lambda pid: "raylet/raylet" not in command(pid)):
            kill(pid)
        self.process.wait()


@contextmanager
def cluster(python: Path) -> Iterator[Cluster]:
    """A head. Its folder's path is short: Ray's sockets lie in it."""
    with tempfile.TemporaryDirectory(prefix="eh-ray-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        env = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "RAY_TMPDIR": folder,
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1",  # as Ray calls nodes on loopback addresses
        }
        made = Cluster(python.with_name("ray"), Path(folder), free_port(), env)
        head = ["--head", f"--port={made.port}", "--include-dashboard=false"]
        with ExitStack() as stack:
            stack.callback(_sweep, folder)
            stack.enter_context(made.node("127.0.0.1", *head, f"--temp-dir={folder}"))
            yield made


def _sweep(folder: str) -> None:
    for pid in pids():
        with suppress(OSError):
            if folder in command(pid) or folder.encode() in (PROC / str(pid) / "environ").read_bytes():
                kill(pid)


def pids() -> list[int]:
    return [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]


def session(pid: int) -> int | None:
    with suppress(OSError):
        return os.getsid(pid)
    return None


def command(pid: int) -> str:
    with suppress(OSError):
        return (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
