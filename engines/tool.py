"""Runs one of our stand-alone programs inside an environment and follows its progress.

Called by `quantize` and `weights`. The programs live in `*/tools`; they speak JSON lines on stdout
(`{"step", "fraction"}` any number of times, `{"result"}` once) and whatever they like on stderr.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from engines.processes import program

Told = Callable[[str, float], None]
"""Takes the step in words and the fraction done, 0…1."""

_UNWANTED: Final = frozenset({"PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV"})
_OFFLINE: Final = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONNOUSERSITE": "1",
    "PYTHONUNBUFFERED": "1",
    # Threads that wait for one another give the processor away instead of turning on it: beside other work on the
    # same cores the tools are nearly twice as fast for it, and alone no slower.
    "OMP_WAIT_POLICY": "PASSIVE",
}
"""What the tools need is on disk; a library that would look elsewhere must fail at once instead of waiting."""


class ToolFailed(Exception):
    """A program failed; the message ends with the last lines that it wrote."""

    def __init__(self, what: str, ended: program.Ended) -> None:
        self.disk_full = any("No space left on device" in line or "os error 28" in line for line in ended.tail)
        super().__init__(f"{what} failed (status {ended.status}):\n{ended.last_words}")


class Message(msgspec.Struct):
    """One line of a tool's output."""

    step: str = ""
    fraction: float = 0.0
    result: dict[str, float | int | str] | None = None


@dataclass(frozen=True, slots=True)
class Tool:
    """A program and the interpreter that runs it: module `module` of the package folder `package`."""

    python: Path
    package: Path
    module: str

    @property
    def command(self) -> tuple[str, ...]:
        """The start of its command line."""
        return (str(self.python), "-m", f"{self.package.name}.{self.module}")


def parsed(line: str) -> Message | None:
    """The message in one line of output; None for anything that is not one."""
    try:
        return msgspec.json.decode(line, type=Message)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return None


def environ(tool: Tool, inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment variables that `tool` runs with: it sees its own package and its own site-packages only.

    Bytecode is written whatever the caller's habit is: environments are installed without, and importing torch
    and transformers uncompiled takes ten seconds longer, each time.
    """
    kept = {key: value for key, value in program.keyless(inherited).items() if key not in _UNWANTED}
    return {**kept, **_OFFLINE, "PYTHONPATH": str(tool.package.parent)}


async def run(
    tool: Tool, arguments: Sequence[str], inherited: Mapping[str, str], told: Told
) -> dict[str, float | int | str]:
    """What the program says came out. Raises `ToolFailed`; cancelled, it leaves nothing running."""
    result: dict[str, float | int | str] | None = None

    def heard(line: str) -> None:
        nonlocal result
        message = parsed(line)
        if message is None:
            return
        if message.result is not None:
            result = message.result
        else:
            told(message.step, message.fraction)

    ended = await program.run((*tool.command, *arguments), environ(tool, inherited), heard)
    if ended.status != 0 or result is None:
        raise ToolFailed(f"{tool.package.name}.{tool.module}", ended)
    return result
