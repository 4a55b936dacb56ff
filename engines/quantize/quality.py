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
class Quality:
    """Source and quantized weights on the same held-out text. What has a default is missing in older files."""

    source_perplexity: float
    """e to the mean negative log-likelihood of a token, in float32."""
    perplexity: float
    tokens: int
    """Predicted tokens that the means are over."""
    text_sha256: str
    top1: float | None = None
    """How often the likeliest next token is the source's, 0 to 1."""
    kl: float | None = None
    """Mean Kullback-Leibler divergence of the source's next token from ours, in nats."""
    layout: str = ""
    algorithm: str = ""
    """How the packed numbers were found, which the layout does not say."""

    @property
    def ratio(self) -> float:
        """Quantized by source: 1.0 is no loss, 1.10 is ten percent more perplexity."""
        return self.perplexity / self.source_perplexity


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
