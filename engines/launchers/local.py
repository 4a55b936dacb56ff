"""Workers as processes of this machine, on a free loopback port, with a key that only the gateways learn."""

from __future__ import annotations

import secrets
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from engines.engine import LaunchRefused
from engines.launchers.launcher import KEY_BYTES, Found, LaunchFailed, Placed, Seat
from engines.launchers.logs import log_of
from engines.memory import devices
from engines.processes import scrub, sessions
from engines.processes.keeping import EngineProcess, Keeping, meaning, running
from registry.spec import ModelSpec

_HOST: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class LocalWorker:
    """A worker that is a process of ours."""

    url: str
    key: str
    log: Path
    process: EngineProcess

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def over(self) -> bool:
        return not sessions.runs(self.process.pid)

    async def ended(self) -> str:
        return meaning(await self.process.wait())

    def kill(self) -> None:
        self.process.kill()


class Local:
    """Invariant: every process it started has ended, with all its children, when its block is left."""

    prepares: Final = True
    here: Final = True

    def __init__(self, keeping: Keeping, threads: int | None = None) -> None:
        self._keeping: Final = keeping
        self._threads: Final = threads

    @asynccontextmanager
    async def place(self, seat: Seat) -> AsyncIterator[Placed]:
        port, key = _free_port(), secrets.token_hex(KEY_BYTES)
        kept = self._keeping
        log = log_of(seat, kept.logs)
        try:
            launch = seat.engine.launch(replace(seat.plan(_HOST, port, key), threads=self._threads))
            env = scrub.for_engine(kept.env, launch.env) | devices.variables(seat.gpus)
            entered = running(launch.argv, env, log, grace=kept.grace, haste=kept.haste, left=kept.left)
            async with entered as engine:
                yield LocalWorker(f"http://{_HOST}:{port}", key, log, engine)
        except (OSError, LaunchRefused) as fault:
            raise LaunchFailed(str(fault)) from fault

    async def discover(self, spec: ModelSpec, found: Found) -> None:
        """Nothing: they are where they are put."""

    def served_name(self, seat: Seat, listed: Sequence[str]) -> str:
        return seat.model


def _free_port() -> int:
    """A port that was free a moment ago. If another program takes it first, the worker fails and is started again."""
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
    return port
