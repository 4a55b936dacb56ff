"""Workers as actors of a Ray cluster, each placed by a small program of its own that holds on to it.

Ray is not imported here: `tools/placer.py` runs in the environment `ray`, under a keeper as an engine would, and is the
worker as far as this machine sees it. It ends when its actor does, and its actor when it does.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from engines.engine import LaunchRefused
from engines.environments.environment import EnvironmentFailed, ensure
from engines.launchers import cluster
from engines.launchers.launcher import KEY_BYTES, Found, LaunchFailed, Placed, Seat
from engines.launchers.logs import log_of
from engines.processes import keeper, scrub
from engines.processes.keeping import EngineProcess, Keeping, meaning, running
from engines.progress import Report
from registry.cluster import RaySpec
from registry.spec import ModelSpec

_PROGRAM: Final = Path(__file__).parent / "tools/placer.py"
_CHOSEN: Final = "ENGINEHOUSE_RAY_PYTHON"
_MARGIN: Final = 5.0
"""Seconds that the program has, beyond the engine's grace, to hear of its end."""


class Said(msgspec.Struct):
    """One line of the program: where the worker will be, or how it ended."""

    host: str = ""
    port: int = 0
    node: str = ""
    ended: str = ""


class RayWorker:
    """A worker somewhere on the cluster. Invariant: `url` is empty until Ray has found a node for it."""

    pid: None = None
    """None of this machine's."""
    over = False
    """Not known before Ray says it."""

    def __init__(self, seat: Seat, log: Path, program: EngineProcess) -> None:
        self.url = ""
        self.key: Final = secrets.token_hex(KEY_BYTES)
        self.log: Final = log
        self._seat: Final = seat
        self._program: Final = program
        self._why = ""
        self._heard_all: Final = asyncio.Event()

    async def ended(self) -> str:
        status = await self._program.wait()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._heard_all.wait(), _MARGIN)
        return self._why or meaning(status)

    def kill(self) -> None:
        """Ends the program; Ray ends its actor, and the actor's keeper the engine."""
        self._program.kill()

    async def converse(self, channel: socket.socket, order: Mapping[str, object], launching: Launching) -> None:
        """Asks for a place, answers it with the command line, listens to the end."""
        reader, writer = await asyncio.open_unix_connection(sock=channel)
        try:
            writer.write(_line(order))
            while line := await reader.readline():
                said = msgspec.json.decode(line, type=Said)
                self._why = said.ended
                if said.port:
                    self.url = f"http://{cluster.node_address(said.host)}:{said.port}"
                    writer.write(_line(launching.message(self._seat, said.host, said.port, self.key)))
        except ConnectionError:
            pass  # its process has ended; `ended` says how
        finally:
            self._heard_all.set()
            writer.close()


@dataclass(frozen=True, slots=True)
class Launching:
    """What every engine on a node is started with."""

    env: Mapping[str, str]
    grace: float

    def message(self, seat: Seat, host: str, port: int, key: str) -> dict[str, object]:
        """The program's second order. Raises `LaunchRefused`."""
        launch = seat.engine.launch(seat.plan(host, port, key))
        env = cluster.engine_environment(scrub.for_engine(self.env, launch.env))
        kept = Path(keeper.__file__).read_text(encoding="utf-8")
        return {"argv": launch.argv, "env": env, "keeper": kept, "grace": self.grace}


class Ray:
    """Invariant: when its block is left, the program has ended, and with it Ray's reason to keep the actor."""

    prepares: Final = True
    here: Final = False

    def __init__(self, keeping: Keeping, python: Callable[[], Awaitable[Path]]) -> None:
        self._keeping: Final = keeping
        self._python: Final = python
        """The interpreter of an environment with Ray in it. Raises `EnvironmentFailed`."""

    @asynccontextmanager
    async def place(self, seat: Seat) -> AsyncIterator[Placed]:
        launching = Launching(self._keeping.env, self._keeping.grace)
        try:
            order = _order(seat)
            launching.message(seat, "127.0.0.1", 1, "")  # what cannot be spelled is refused before a place is sought
            python = await self._python()
            ours, theirs = socket.socketpair()
            with ours, theirs:
                async with self._started(python, theirs, log_of(seat, self._keeping.logs)) as (program, log):
                    worker = RayWorker(seat, log, program)
                    async with asyncio.TaskGroup() as group:
                        conversing = group.create_task(worker.converse(ours, order, launching))
                        try:
                            yield worker
                        finally:
                            conversing.cancel()
        except (OSError, LaunchRefused, EnvironmentFailed) as fault:
            raise LaunchFailed(str(fault)) from fault

    @asynccontextmanager
    async def _started(
        self, python: Path, theirs: socket.socket, log: Path
    ) -> AsyncIterator[tuple[EngineProcess, Path]]:
        argv, kept = (str(python), "-I", str(_PROGRAM), str(theirs.fileno())), self._keeping
        env = cluster.driver_environment(scrub.scrubbed(kept.env), kept.env)
        entered = running(
            argv, env, log,
            grace=kept.grace + _MARGIN, haste=kept.haste, left=kept.left, inherited=(theirs.fileno(),),
        )  # fmt: skip
        async with entered as program:
            theirs.close()
            yield program, log

    async def discover(self, spec: ModelSpec, found: Found) -> None:
        """Nothing: they are where they are put."""

    def served_name(self, seat: Seat, listed: Sequence[str]) -> str:
        return seat.model


async def interpreter(cache: Path, report: Report, env: Mapping[str, str]) -> Path:
    """The Python that speaks with Ray: of the operator's choice, for both ends need the same versions, or of our own
    environment, which is installed if need be. Raises `EnvironmentFailed`.
    """
    chosen = env.get(_CHOSEN)
    return Path(chosen) if chosen else (await ensure("ray", cache, report, environ=env)).python


def _order(seat: Seat) -> dict[str, object]:
    """The program's first order."""
    prepared = seat.prepared
    if prepared is None:
        raise LaunchFailed(f"{seat.name}: a worker on Ray needs an environment and weights")
    return {
        "address": (seat.spec.ray or RaySpec()).address,
        "options": cluster.wanted(seat.spec, prepared.device),
        "must_exist": cluster.must_exist(prepared),
    }


def _line(message: Mapping[str, object]) -> bytes:
    return msgspec.json.encode(message) + b"\n"
