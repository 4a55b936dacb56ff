"""The gateway processes: started on the shared listening socket, restarted when they die, drained at the end.

A gateway that dies takes no engine with it and refuses nobody: connections wait in the socket's backlog for its
successor. Gateways are tethered, so they end with the supervisor however it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import engines
from engines.processes import logfile, scrub, tether
from engines.processes.keeping import meaning
from engines.supervisor.events import Announce, GatewayLost, GatewayStarted
from engines.supervisor.settings import ServeSettings

GATEWAY: Final = (sys.executable, "-P", "-m", "gateway")
_TETHER: Final = (sys.executable, "-I", "-S", str(Path(tether.__file__)))
_SOURCE: Final = str(Path(engines.__file__).parent.parent)
_BOUND_EVERY: Final = 10.0
"""Seconds between two looks at the length of the logs."""
_KILL_MARGIN: Final = 2.0
"""Seconds beyond the drain limit after which a gateway is killed."""


@dataclass(frozen=True, slots=True)
class Restarts:
    """How fast a gateway comes back, in seconds: at once, unless it fails right after its start."""

    settled: float = 5.0
    """A gateway that lived so long is restarted without a wait."""
    first: float = 0.1
    longest: float = 5.0

    def wait(self, quick_ends: int) -> float:
        """The wait after so many quick ends in a row."""
        return min(self.first * 2 ** (quick_ends - 1), self.longest) if quick_ends else 0.0


class Gateways:
    """Owns the listening socket. Invariant: until `stop`, every place has a gateway or one on its way."""

    def __init__(
        self,
        listening: socket.socket,
        control: Path,
        settings: ServeSettings,
        announce: Announce,
        clock: Callable[[], float],
        program: Sequence[str],
        restarts: Restarts = Restarts(),
    ) -> None:
        self._socket: Final = listening
        self._argv: Final = (*_TETHER, str(os.getpid()), *program, "--fd", str(listening.fileno()))
        drain, uploads = settings.drain_s, settings.uploads
        self._options: Final = ("--control", str(control), "--drain", str(drain), "--uploads", str(uploads))
        self._drain: Final = drain
        self._logs: Final = settings.logs
        self._env: Final = scrub.for_gateway(settings.env, _SOURCE)
        self._announce: Final = announce
        self._clock: Final = clock
        self._restarts: Final = restarts
        self._running: Final[set[asyncio.subprocess.Process]] = set()
        self._stopping: Final = asyncio.Event()

    async def run(self, count: int) -> None:
        """Keeps `count` gateways running until `stop`."""
        async with asyncio.TaskGroup() as group:
            for place in range(count):
                group.create_task(self._keep(place))
            group.create_task(self._bound_logs(count))

    async def stop(self, haste: asyncio.Event) -> None:
        """SIGTERM to all; they drain; SIGKILL after the limit, or when `haste` is set. Returns when none is left.

        Who connects from now on is refused: no successor will come for whom a connection could wait in the backlog.
        """
        self._stopping.set()
        self._socket.close()
        for gateway in self._running:
            gateway.terminate()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._drain + _KILL_MARGIN), asyncio.TaskGroup() as group:
                hurried = group.create_task(haste.wait())
                left = group.create_task(self._all_ended())
                await asyncio.wait({hurried, left}, return_when=asyncio.FIRST_COMPLETED)
                hurried.cancel()
                left.cancel()
        for gateway in self._running:
            gateway.kill()
        await self._all_ended()

    async def _all_ended(self) -> None:
        for gateway in tuple(self._running):
            await gateway.wait()

    async def _keep(self, place: int) -> None:
        log = self._log(place)
        starts = quick_ends = 0
        while not self._stopping.is_set():
            begun = self._clock()
            try:
                reason = await self._live(log, starts)
            except OSError as fault:  # no memory, no descriptor, no disk: it may come back
                reason = f"could not be started: {fault.strerror or fault}"
            starts += 1
            if self._stopping.is_set():
                return
            cause = logfile.telling(logfile.tail(log))
            self._announce(GatewayLost(f"{reason}: {cause}" if cause else reason, str(log)))
            quick_ends = quick_ends + 1 if self._clock() - begun < self._restarts.settled else 0
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._restarts.wait(quick_ends - 1) if quick_ends else 0):
                    await self._stopping.wait()

    async def _bound_logs(self, count: int) -> None:
        while not self._stopping.is_set():
            for place in range(count):
                await asyncio.to_thread(logfile.bound, self._log(place))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_BOUND_EVERY):
                    await self._stopping.wait()

    def _log(self, place: int) -> Path:
        return self._logs / f"gateway-{place}.log"

    async def _live(self, log: Path, restarts: int) -> str:
        """One gateway from its start to its end; says how it ended."""
        output = logfile.begin(log)
        try:
            gateway = await asyncio.create_subprocess_exec(
                *self._argv, *self._options,
                env=self._env, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output,
                pass_fds=(self._socket.fileno(),), start_new_session=True,
            )  # fmt: skip
        finally:
            os.close(output)
        self._running.add(gateway)
        self._announce(GatewayStarted(gateway.pid, restarts))
        try:
            # Asked to stop while it was being started: `stop` could not know of it.
            if self._stopping.is_set():
                gateway.terminate()
            status = await gateway.wait()
        finally:
            if gateway.returncode is None:
                gateway.kill()
            self._running.discard(gateway)
        return meaning(status if status >= 0 else 128 - status)
