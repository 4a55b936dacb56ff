"""From a GGUF file to a checkpoint that engines load: runs the converter in its environment. Called by `prepare`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from engines import tool
from engines.tool import Told, Tool

TOOLS: Final = Path(__file__).parent / "tools"
GROWTH: Final = 4
"""How much larger a checkpoint in bfloat16 is than a 4-bit file, at most."""


async def convert_gguf(python: Path, source: Path, target: Path, environ: Mapping[str, str], told: Told) -> None:
    """Write the GGUF file `source` as a checkpoint to the new folder `target`. Raises `ToolFailed`."""
    arguments = [f"--source={source}", f"--target={target}"]
    await tool.run(Tool(python, TOOLS, "convert_gguf"), arguments, environ, told)
