"""Starts the quantizer and the meter of its loss in the quantizer environment. Called by `weights.prepare`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import msgspec

from engines import tool
from engines.quantize.layout import Layout
from engines.quantize.quality import Quality
from engines.tool import Told, Tool

TOOLS: Final = Path(__file__).parent / "tools"
CALIBRATION: Final = Path(__file__).parent / "text" / "calibration.txt"
HELD_OUT: Final = Path(__file__).parent / "text" / "heldout.txt"
"""Never part of the calibration: what was tuned on cannot measure."""


@dataclass(frozen=True, slots=True)
class Job:
    """Write the checkpoint `source`, packed as `layout`, to the new folder `target`."""

    source: Path
    target: Path
    layout: Layout
    calibration: Path = CALIBRATION
    """Read only where the layout is tuned."""


def recipe(layout: Layout) -> str:
    """Everything that the quantizer must know, as one JSON object."""
    return json.dumps(asdict(layout), sort_keys=True)


async def quantize(python: Path, job: Job, environ: Mapping[str, str], told: Told) -> None:
    """Do `job`. Raises `ToolFailed`."""
    arguments = [
        f"--source={job.source}",
        f"--target={job.target}",
        f"--recipe={recipe(job.layout)}",
        f"--calibration={job.calibration}",
    ]
    await tool.run(Tool(python, TOOLS, "quantize"), arguments, environ, told)


async def measure(python: Path, job: Job, scratch: Path, environ: Mapping[str, str], told: Told) -> Quality:
    """What a finished `job` cost, on the held-out text. `scratch` is for the tool alone. Raises `ToolFailed`."""
    arguments = [
        f"--source={job.source}",
        f"--checkpoint={job.target}",
        f"--text={HELD_OUT}",
        f"--scratch={scratch}",
    ]
    found = await tool.run(Tool(python, TOOLS, "measure"), arguments, environ, told)
    named = {"layout": job.layout.name, "algorithm": job.layout.algorithm}
    return msgspec.convert(found | named, Quality)
