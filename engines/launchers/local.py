"""Workers as processes of this machine, on a free loopback port, with a key that only the gateways learn."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engines.engine import LaunchPlan, LaunchRefused
from engines.launchers.launcher import LaunchFailed, Placed, Seat
from engines.supervisor import process, scrub
from engines.supervisor.leftovers import Leftovers
from registry.spec import ModelSpec

_HOST: Final = "127.0.0.1"
_KEY_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class LocalWorker:
    """A worker that is a process of ours."""

    url: str
    key: str
    log: Path
    process: process.EngineProcess

    @property
    def pid(self) -> int:
        return self.process.pid

    async def ended(self) -> str:
        return process.meaning(await self.process.wait())

    def kill(self) -> None:
        self.process.kill()


class Local:
    """Invariant: every process it started has ended, with all its children, when its block is left."""

    prepares: Final = True

    def __init__(
        self, *, env: Mapping[str, str], logs: Path, grace: float, haste: asyncio.Event, left: Leftovers
    ) -> None:
        self._env: Final = env
        self._logs: Final = logs
        self._grace: Final = grace
        self._haste: Final = haste
        self._left: Final = left

    @asynccontextmanager
    async def place(self, seat: Seat) -> AsyncIterator[Placed]:
        port, key = _free_port(), secrets.token_hex(_KEY_BYTES)
        log = self._logs / f"{seat.name}.log"
        try:
            launch = seat.engine.launch(_plan(seat, port, key))
            env = scrub.for_engine(self._env, launch.env)
            entered = process.running(launch.argv, env, log, grace=self._grace, haste=self._haste, left=self._left)
            async with entered as engine:
                yield LocalWorker(f"http://{_HOST}:{port}", key, log, engine)
        except (OSError, LaunchRefused) as fault:
            raise LaunchFailed(str(fault)) from fault

    def seats(self, spec: ModelSpec) -> int:
        return spec.replicas

    def served_name(self, model: str, listed: Sequence[str]) -> str:
        return model


def _plan(seat: Seat, port: int, key: str) -> LaunchPlan:
    prepared = seat.prepared
    if prepared is None:
        raise LaunchFailed(f"{seat.name}: a local worker needs an environment and weights")
    spec = seat.spec
    return LaunchPlan(
        python=prepared.python,
        weights=prepared.weights,
        served_name=seat.model,
        host=_HOST,
        port=port,
        key=key,
        layout=prepared.layout,
        device=prepared.device,
        context=spec.context,
        kv_cache=prepared.kv_cache,
        adapter_slots=spec.adapters.slots,
        adapter_max_rank=spec.adapters.max_rank,
        trust_remote_code=spec.trust_remote_code,
        options=spec.engine_options,
    )


def _free_port() -> int:
    """A port that was free a moment ago. If another program takes it first, the worker fails and is started again."""
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
    return port
