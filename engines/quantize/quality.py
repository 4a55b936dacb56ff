"""What quantization cost, measured on the packed checkpoint; kept beside the weights.

Called by `weights` and the CLI.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

_FILE: Final = "quality.json"


@dataclass(frozen=True, slots=True)
class Perplexity:
    """Of one checkpoint on one text: e to the mean negative log-likelihood of a token, in float32."""

    perplexity: float
    tokens: int
    """Predicted tokens that the mean is over."""
    text_sha256: str


@dataclass(frozen=True, slots=True)
class Quality:
    """Source and quantized weights on the same text."""

    source_perplexity: float
    perplexity: float
    tokens: int
    text_sha256: str

    @property
    def ratio(self) -> float:
        """Quantized by source: 1.0 is no loss, 1.10 is ten percent more perplexity."""
        return self.perplexity / self.source_perplexity


def compared(source: Perplexity, packed: Perplexity) -> Quality:
    """Both figures as one value. Raises `ValueError` if they were not measured on the same tokens."""
    if (source.text_sha256, source.tokens) != (packed.text_sha256, packed.tokens):
        raise ValueError("perplexities of different texts cannot be compared")
    return Quality(source.perplexity, packed.perplexity, packed.tokens, packed.text_sha256)


def write(quality: Quality, checkpoint: Path) -> None:
    """Keep `quality` beside the weights, readable by people."""
    shown = {**msgspec.to_builtins(quality), "ratio": round(quality.ratio, 4)}
    (checkpoint / _FILE).write_bytes(msgspec.json.format(msgspec.json.encode(shown), indent=2) + b"\n")


def read(checkpoint: Path) -> Quality | None:
    """What is kept beside the weights; None where nothing was measured or nothing readable is there."""
    try:
        return msgspec.json.decode((checkpoint / _FILE).read_bytes(), type=Quality)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
