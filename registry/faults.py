"""What is wrong with a registry file, for people. Made by `registry.load`, printed by `enginehouse check`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

_LONGEST_QUOTE: Final = 60

Place = tuple[str | int, ...]
"""Where in the file: the keys and list positions from the top, e.g. `("models", "m", "aliases", 0)`."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to correct. `line` counts from 1; a file that cannot be read at all is faulty on line 1."""

    path: Path
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


@dataclass(frozen=True, slots=True)
class Flaw:
    """A fault whose file is not named yet, with the place that it concerns."""

    place: Place
    line: int
    message: str


class RegistryRefused(Exception):
    """The file does not describe a registry. Carries every fault found, in the order of the file; never none."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults: Final = faults


def quoted(text: str) -> str:
    """`text` between quotes, escaped and shortened: what a file holds may be anything."""
    shown = text if len(text) <= _LONGEST_QUOTE else text[: _LONGEST_QUOTE - 1] + "…"
    return repr(shown)
