"""What a soak found: requests, failures with and without an explanation, memory over time. Pure but for `Sample.of`.

A failure is explained if the stream was on a worker that was killed while it ran, and ended with exactly one error
event after its first token. Everything else that failed is unexplained; one of those fails the soak.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final, Self

from loadtests.soak.crew import Kill
from loadtests.soak.load import Result
from tests.faults.stage import descriptors, resident
from tests.processes import Gateway

_MEGABYTE: Final = 1_000_000
_SETTLED: Final = 0.34
"""Share of the run after which the memory has to be flat."""
_GROWTH: Final = 4.0
"""MB that the memory's median may grow from the run's middle third to its last one, plus one per 100,000 requests."""
_SHOWN: Final = 10
_NOTICED: Final = 2.0
"""Seconds after a kill in which its streams are told."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at the gateway: seconds of the monotonic clock, requests so far, bytes of memory, descriptors."""

    at: float
    requests: int
    memory: int
    descriptors: int

    @classmethod
    def of(cls, gateway: Gateway, at: float, requests: int) -> Self:
        """Look now."""
        return cls(at, requests, resident(gateway), descriptors(gateway))


@dataclass(frozen=True, slots=True)
class Report:
    """The findings of one soak."""

    results: Sequence[Result]
    kills: Sequence[Kill]
    samples: Sequence[Sample]
    left: Sequence[str]
    unexplained: Sequence[Result]
    bugs: int

    @classmethod
    def of(
        cls, results: Sequence[Result], kills: Sequence[Kill], samples: Sequence[Sample], left: Sequence[str], log: str
    ) -> Self:
        """Explain what failed by the gateway's access log and the list of kills."""
        workers = dict(re.findall(r"id=(soak-\d+) .* worker=(\S+)", log))
        failed = [result for result in results if not result.good]
        unexplained = [result for result in failed if not explained(result, workers.get(result.id, ""), kills)]
        return cls(results, kills, samples, left, unexplained, log.count("Traceback"))

    @property
    def passed(self) -> bool:
        return not self.unexplained and not self.left and not self.bugs and self.grown <= self.allowed

    @property
    def grown(self) -> float:
        """MB by which the memory grew once it had settled."""
        settled = self.samples[int(len(self.samples) * _SETTLED) :]
        half = len(settled) // 2
        if not half:
            return 0.0
        early, late = (median(sample.memory for sample in part) for part in (settled[:half], settled[half:]))
        return (late - early) / _MEGABYTE

    @property
    def allowed(self) -> float:
        """MB by which it may have grown."""
        return _GROWTH + len(self.results) / 100_000

    def text(self) -> str:
        """The report for people."""
        kinds = Counter(result.kind for result in self.results)
        failed = sum(not result.good for result in self.results)
        curve = ", ".join(f"{sample.memory / _MEGABYTE:.0f}" for sample in self.samples)
        lines = [
            f"requests      {len(self.results)} ({', '.join(f'{count} {kind}' for kind, count in kinds.items())})",
            f"kills         {len(self.kills)}",
            f"failed        {failed}: {failed - len(self.unexplained)} explained, {len(self.unexplained)} unexplained",
            f"memory, MB    {curve}",
            f"growth        {self.grown:.1f} MB once settled (allowed: {self.allowed:.1f})",
            f"descriptors   {', '.join(str(sample.descriptors) for sample in self.samples[-5:])} (last looks)",
            f"left behind   {', '.join(self.left) or 'nothing'}",
            f"bugs logged   {self.bugs}",
            *(f"UNEXPLAINED   {each.id} {each.kind}: {each.story}" for each in self.unexplained[:_SHOWN]),
            "passed" if self.passed else "FAILED",
        ]
        return "\n".join(lines)


def explained(result: Result, worker: str, kills: Sequence[Kill]) -> bool:
    """Whether a stream that was told of its end was on a worker that was killed while it ran."""
    return result.broken and any(
        kill.worker == worker and result.began <= kill.at <= result.ended + _NOTICED for kill in kills
    )
