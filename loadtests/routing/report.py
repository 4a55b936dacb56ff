"""What the trials found: one row a policy, over all of its rounds. Pure. Used by `__main__`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final, Self

import msgspec

from loadtests.routing.chats import Answer

OURS: Final = "prefix_affinity"
BASELINE: Final = "round_robin"
LEVEL: Final = 0.95
"""Of another's figure: what counts as level on a machine that does other things too."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One policy's turn with one load."""

    policy: str
    round: int
    answers: Sequence[Answer]
    hits: float
    queries: float

    @property
    def seconds(self) -> float:
        """From the first request to the end of the last answer."""
        return max(each.began + each.took for each in self.answers) - min(each.began for each in self.answers)


@dataclass(frozen=True, slots=True)
class Row:
    """A policy over all its trials. Times in seconds; the hit rate is the engines' own, of prompt tokens."""

    policy: str
    requests: int
    hit_rate: float
    ttft_p50: float
    ttft_p99: float
    tokens_per_second: float
    requests_per_second: float
    hit_rates: Sequence[float]
    """Of each round."""

    @classmethod
    def of(cls, policy: str, trials: Sequence[Trial]) -> Self:
        """All requests of all rounds together; rates over the sum of the rounds' times."""
        answers = [each for trial in trials for each in trial.answers]
        seconds = sum(trial.seconds for trial in trials)
        ttft = [each.ttft for each in answers]
        return cls(
            policy=policy,
            requests=len(answers),
            hit_rate=sum(trial.hits for trial in trials) / sum(trial.queries for trial in trials),
            ttft_p50=percentile(ttft, 0.5),
            ttft_p99=percentile(ttft, 0.99),
            tokens_per_second=sum(each.tokens for each in answers) / seconds,
            requests_per_second=len(answers) / seconds,
            hit_rates=[trial.hits / trial.queries for trial in trials],
        )


def rows(trials: Sequence[Trial]) -> dict[str, Row]:
    """By policy, in the order of the first round."""
    names = dict.fromkeys(trial.policy for trial in trials)
    return {name: Row.of(name, [trial for trial in trials if trial.policy == name]) for name in names}


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of all are no greater than."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def table(found: Mapping[str, Row]) -> list[str]:
    """Markdown."""
    head = ["policy", "prefix hits", "TTFT p50", "TTFT p99", "tokens/s", "requests/s", "hits by round"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for row in found.values():
        times = f"{row.ttft_p50:.2f} s | {row.ttft_p99:.2f} s"
        rates = f"{row.tokens_per_second:.1f} | {row.requests_per_second:.2f}"
        rounds = ", ".join(f"{rate:.0%}" for rate in row.hit_rates)
        lines.append(f"| {row.policy} | {row.hit_rate:.1%} | {times} | {rates} | {rounds} |")
    return lines


def verdicts(found: Mapping[str, Row]) -> list[tuple[bool, str]]:
    """The goals: better than the baseline, and level with every other policy."""
    if OURS not in found:
        return []
    ours, goals = found[OURS], []
    if (other := found.get(BASELINE)) is not None:
        goals += [
            (ours.hit_rate > other.hit_rate, f"{OURS}: a higher hit rate than {BASELINE}"),
            (ours.ttft_p99 < other.ttft_p99, f"{OURS}: a lower p99 TTFT than {BASELINE}"),
            (ours.tokens_per_second >= other.tokens_per_second, f"{OURS}: no lower throughput than {BASELINE}"),
        ]
    for row in found.values():
        if row.policy not in {OURS, BASELINE}:
            level = (
                ours.hit_rate >= LEVEL * row.hit_rate
                and ours.ttft_p99 * LEVEL <= row.ttft_p99
                and ours.tokens_per_second >= LEVEL * row.tokens_per_second
            )
            goals.append((level, f"{OURS}: at least level ({LEVEL:.0%}) with {row.policy} in all three"))
    return goals


def record(trials: Sequence[Trial]) -> dict[str, object]:
    """For the JSON file: the rows, and the trials, from which the rows can be made again."""
    return {
        "policies": [asdict(row) for row in rows(trials).values()],
        "trials": [asdict(trial) for trial in trials],
    }


def recalled(text: bytes) -> list[Trial]:
    """The trials of a JSON file."""
    return msgspec.json.decode(text, type=_Recorded).trials


class _Recorded(msgspec.Struct):
    trials: list[Trial]
