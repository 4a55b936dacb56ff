"""What a goal is, and what a run of it finds. Pure. The goals' figures are for one gateway process on one core."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was counted or measured, and what it may be at most."""

    what: str
    found: float
    limit: float = 0
    measured: bool = False
    """Whether it is a figure, which a slower machine or its other work can spoil. The rest is right or wrong."""

    @property
    def met(self) -> bool:
        return self.found <= self.limit

    def line(self) -> str:
        """For people."""
        verdict = "met" if self.met else "MISSED" if self.measured else "WRONG"
        return f"{verdict:7} {self.what}: {self.found:,.6g} (at most {self.limit:,g})"


Findings = Sequence[Finding]


@dataclass(frozen=True, slots=True)
class Goal:
    """A long run. `run` takes a scale: 1 is the whole of it, and its short form in the tests is a hundredth or so."""

    sentence: str
    run: Callable[[float], Awaitable[Findings]]


def wrong(findings: Findings) -> Findings:
    """What must not be, on whatever machine."""
    return [each for each in findings if not each.met and not each.measured]
