"""Runs a program to its end: its lines as they come, its last words if it fails. Called by `environments`,
`weights` and `parsers` for pip and other programs, and by `tool` for those that live in an environment.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import os
import re
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engines.processes import tether

_TETHER: Final = (sys.executable, "-I", "-S", str(Path(tether.__file__)))
_TAIL: Final = 25
_GRACE: Final = 5.0
"""Seconds between SIGTERM and SIGKILL for a program that is not wanted any more."""
_CHUNK: Final = 65536
_BREAK: Final = re.compile(r"[\r\n]+")
_ANSI: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended: its exit status (negative: the signal) and the last lines of all that it wrote."""

    status: int
    tail: tuple[str, ...]

    @property
    def last_words(self) -> str:
        """The last lines as one text, indented; for error messages."""
        return "\n".join(f"  {line}" for line in self.tail)


def keyless(environ: Mapping[str, str]) -> dict[str, str]:
    """What a program of others may see of our environment variables: nothing of ours, which holds the keys."""
    return {name: value for name, value in environ.items() if not name.startswith("ENGINEHOUSE_")}


async def run(
    argv: Sequence[str], env: Mapping[str, str], heard: Callable[[str], None], *, merge: bool = False
) -> Ended:
    """Runs `argv` in a session of its own; calls `heard` with each line of stdout (`merge`: of stderr too).

    Cancelled, it ends the whole process group before it lets go. If this process is killed, the kernel kills
    the program. Raises `OSError` where Python itself cannot be started; an unknown program ends with status 127 or 1.
    """
    tail: deque[str] = deque(maxlen=_TAIL)

    def keep(line: str) -> None:
        tail.append(line)

    def hear(line: str) -> None:
        tail.append(line)
        heard(line)

    process = await asyncio.create_subprocess_exec(
        *_TETHER, str(os.getpid()), *argv,
        env=dict(env), stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT if merge else asyncio.subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        async with asyncio.TaskGroup() as group:
            if process.stdout is not None:
                group.create_task(_read(process.stdout, hear))
            if process.stderr is not None:
                group.create_task(_read(process.stderr, keep))
        status = await process.wait()
    finally:
        await _end(process)
    return Ended(status, tuple(tail))


async def _read(stream: asyncio.StreamReader, say: Callable[[str], None]) -> None:
    """Each line of `stream`; what a progress bar overwrites with a carriage return is a line too."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    rest = ""
    while chunk := await stream.read(_CHUNK):
        *whole, rest = _BREAK.split(rest + decoder.decode(chunk))
        for line in whole:
            _say(line, say)
    _say(rest, say)


def _say(line: str, say: Callable[[str], None]) -> None:
    clean = _ANSI.sub("", line).rstrip()
    if clean:
        say(clean)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Nothing of the group is left afterwards, and the process is reaped."""
    if process.returncode is None:
        _signal(process.pid, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(process.wait()), _GRACE)
    _signal(process.pid, signal.SIGKILL)
    await process.wait()


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
