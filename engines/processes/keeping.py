"""One engine process under its keeper: started, waited for, stopped as a whole, reaped. Called by the launchers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engines.processes import keeper, logfile, sessions
from engines.processes.leftovers import Leftovers

_KEEPER: Final = (sys.executable, "-I", "-S", str(Path(keeper.__file__)))
_SIGNALLED: Final = 128
"""Exit statuses above it are signals, by the shell's convention."""
_REAP_MARGIN: Final = 5.0
"""Seconds that a keeper has, beyond its grace, to end everything; then it is broken and the session is killed."""


class EngineProcess:
    """Invariant: as long as it is entered, a keeper lives or `wait` returns; afterwards nothing of it is left."""

    def __init__(self, kept: asyncio.subprocess.Process, pid: int) -> None:
        self._keeper: Final = kept
        self.pid: Final = pid
        """The engine's own process, which leads the group that its children belong to."""

    async def wait(self) -> int:
        """The engine's exit status, 128 + n if signal n ended it, once everything it started has ended too."""
        return await self._keeper.wait()

    def kill(self) -> None:
        """SIGKILL to the engine and all it started; the keeper reaps them."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class Keeping:
    """What all programs of launchers are kept by."""

    env: Mapping[str, str]
    """The operator's; a program gets what `scrub` leaves of it."""
    logs: Path
    grace: float
    """Seconds between SIGTERM and SIGKILL."""
    haste: asyncio.Event
    """Set: no grace any more."""
    left: Leftovers


@asynccontextmanager
async def running(
    argv: Sequence[str],
    env: Mapping[str, str],
    log: Path,
    *,
    grace: float,
    haste: asyncio.Event,
    left: Leftovers,
    inherited: tuple[int, ...] = (),
) -> AsyncIterator[EngineProcess]:
    """Runs `argv` under a keeper, its output in `log`; on leaving, SIGTERM, `grace` seconds, SIGKILL.

    It also has the descriptors `inherited`. `haste` cuts the grace short. Raises `OSError` where not even the keeper
    can be started.
    """
    kept, read_end = await _start(argv, env, log, grace, inherited)
    try:
        left.add(kept.pid)
        yield EngineProcess(kept, await _reported(read_end, kept))
    finally:
        await _stop(kept, grace, haste)
        left.remove(kept.pid)


def meaning(status: int) -> str:
    """An exit status in words."""
    if status > _SIGNALLED:
        with contextlib.suppress(ValueError):
            return f"killed by {signal.Signals(status - _SIGNALLED).name}"
    return f"exited with status {status}"


async def _start(
    argv: Sequence[str], env: Mapping[str, str], log: Path, grace: float, inherited: tuple[int, ...]
) -> tuple[asyncio.subprocess.Process, int]:
    """The keeper, and the descriptor on which it will report the engine's pid."""
    output = logfile.begin(log)
    read_end, write_end = os.pipe()
    try:
        kept = await asyncio.create_subprocess_exec(
            *_KEEPER, str(grace), str(write_end), *argv,
            env=env, stdin=asyncio.subprocess.PIPE, stdout=output, stderr=output,
            pass_fds=(write_end, *inherited), start_new_session=True,
        )  # fmt: skip
    except BaseException:
        os.close(read_end)
        raise
    finally:
        os.close(write_end)
        os.close(output)
    return kept, read_end


async def _reported(read_end: int, kept: asyncio.subprocess.Process) -> int:
    """The engine's pid, as the keeper reports it; the keeper's own if it died before it could."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    with os.fdopen(read_end, "rb", buffering=0) as pipe:
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
        try:
            line = await reader.readline()
        finally:
            transport.close()
    return int(line) if line else kept.pid


async def _stop(kept: asyncio.subprocess.Process, grace: float, haste: asyncio.Event) -> None:
    """Ends the keeper and all below it; returns when nothing is left."""
    if kept.returncode is None:
        kept.terminate()
        await _ended_or(kept, haste, grace + _REAP_MARGIN)
    if kept.returncode is None and haste.is_set():
        # The second SIGTERM tells the keeper that there is no grace any more.
        kept.terminate()
        await _ended_or(kept, None, _REAP_MARGIN)
    sessions.kill(kept.pid)
    await kept.wait()


async def _ended_or(kept: asyncio.subprocess.Process, haste: asyncio.Event | None, seconds: float) -> None:
    """Waits for the keeper's end, for `haste`, or so long."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
            waits: list[asyncio.Task[object]] = [group.create_task(kept.wait())]
            if haste is not None:
                waits.append(group.create_task(haste.wait()))
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for each in waits:
                each.cancel()
