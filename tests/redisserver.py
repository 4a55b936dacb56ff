"""A real Redis for story tests: Debian's `redis-server`, in memory only, on a port of its own."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError, RedisError

from tests.processes import free_port
from tests.waiting import until

NEEDED: Final = pytest.mark.skipif(
    shutil.which("redis-server") is None, reason="Debian's package redis-server is not installed"
)


class RedisServer:
    """Starts empty, whenever it is started: nothing is kept on a disk."""

    def __init__(self, folder: Path) -> None:
        self.folder: Final = folder
        self._program: Final = str(shutil.which("redis-server"))
        self.port: Final = free_port()
        self.url: Final = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        """Until it answers."""
        words = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self.folder), *options]
        self._process = subprocess.Popen([self._program, *words], stdout=subprocess.DEVNULL)
        until(self._answers, what="redis-server")

    def say(self, *words: Any) -> Any:
        """One command, by a connection of its own."""
        with contextlib.closing(Redis(port=self.port, socket_timeout=30)) as client:
            return client.execute_command(*words)

    def kill(self) -> None:
        """Gone, with all that it knew."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def hang(self) -> None:
        """It takes connections and answers nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """After `hang`."""
        self._process.send_signal(signal.SIGCONT)

    def _answers(self) -> bool:
        try:
            return bool(self.say("PING"))
        except AuthenticationError:
            return True  # it wants a password, so it is up
        except RedisError:
            return False


@contextmanager
def redis_server(folder: Path) -> Iterator[RedisServer]:
    """One that runs, ended at the latest when the block is left."""
    made = RedisServer(folder)
    made.start()
    try:
        yield made
    finally:
        made.kill()
