"""Starts the quantizer and the perplexity meter in the quantizer environment. Called by `weights.prepare`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Final

import msgspec

from engines import tool
from engines.quantize.layout import Layout
from engines.quantize.quality import Perplexity
from engines.tool import Told, Tool

TOOLS: Final = Path(__file__).parent / "tools"
CALIBRATION: Final = Path(__file__).parent / "text" / "calibration.txt"
HELD_OUT: Final = Path(__file__).parent / "text" / "heldout.txt"
"""Never part of the calibration: what was tuned on cannot measure."""


def recipe(layout: Layout) -> str:
    """Everything that the quantizer must know, as one JSON object."""
    return json.dumps(asdict(layout), sort_keys=True)


async def quantize(
    python: Path, source: Path, target: Path, layout: Layout, environ: Mapping[str, str], told: Told
) -> None:
    """Write the checkpoint `source`, packed as `layout`, to the new folder `target`. Raises `ToolFailed`."""
    arguments = [
        f"--source={source}",
        f"--target={target}",
        f"--recipe={recipe(layout)}",
        f"--calibration={CALIBRATION}",
    ]
    await tool.run(Tool(python, TOOLS, "quantize"), arguments, environ, told)


async def perplexity(python: Path, checkpoint: Path, environ: Mapping[str, str], told: Told) -> Perplexity:
    """Measure `checkpoint`, packed or not, on the held-out text. Raises `ToolFailed`."""
    arguments = [f"--checkpoint={checkpoint}", f"--text={HELD_OUT}"]
    found = await tool.run(Tool(python, TOOLS, "perplexity"), arguments, environ, told)
    return msgspec.convert(found, Perplexity)
