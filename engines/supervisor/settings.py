"""What `enginehouse serve` was asked for, and why it can refuse before anything is started."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """Loaded once, by `cli`."""

    registry_path: Path
    host: str = "127.0.0.1"
    port: int = 8000
    state: Path = Path(".enginehouse")
    cache: Path = Path.home() / ".cache/enginehouse"
    drain_s: float = 30.0
    """Seconds that open requests have to end once the supervisor is asked to stop."""
    gateways: int = 1
    env: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    @property
    def logs(self) -> Path:
        """Where workers and gateways write."""
        return self.state / "logs"

    @property
    def uploads(self) -> Path:
        """Where gateways put adapters that they are sent."""
        return self.state / "uploads"


class ServeRefused(Exception):
    """Nothing was started; the message says what to do. The exit status is 2."""
