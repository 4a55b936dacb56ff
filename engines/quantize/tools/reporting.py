"""How the programs of this folder speak to who started them: one JSON object a line on the original stdout.

Libraries print what they like; that goes to stderr, which is the log.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Final


class Lines:
    """Owns the original stdout. From its creation on nobody else writes there."""

    def __init__(self) -> None:
        self._stream: Final = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
        os.dup2(2, 1)
        sys.stdout = sys.stderr

    def progress(self, step: str, fraction: float) -> None:
        """Say what is being done now and how far the whole program is, 0…1."""
        self._send({"step": step, "fraction": round(fraction, 4)})

    def result(self, values: dict[str, object]) -> None:
        """Say what came out; the last line."""
        self._send({"result": values})

    def _send(self, message: dict[str, object]) -> None:
        self._stream.write(json.dumps(message) + "\n")


def usable_threads() -> int:
    """CPUs this process may run on."""
    return len(os.sched_getaffinity(0))
