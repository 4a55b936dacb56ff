"""What the trials found: one row a placement, over all of its rounds. Pure. Used by `__main__`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from loadtests.adapters.asking import Answer
from loadtests.adapters.placements import OURS
from loadtests.routing.report import percentile


@dataclass(frozen=True, slots=True)
class Trial:
    """One placement's turn with one load."""

    placement: str
    round: int
    loads: int
    evictions: int
    answers: Sequence[Answer]


@dataclass(frozen=True, slots=True)
class Row:
    """A placement over all its trials. Times in seconds, to the first token of each answer."""

    placement: str
    requests: int
    failed: int
    wrong: int
    """Answers in which another adapter spoke."""
    loads_per_hundred: float
    ttft_p50: float
    ttft_p99: float
    worst: float


def row(placement: str, trials: Sequence[Trial]) -> Row:
    """Of trials of one placement, of which at least one request was answered."""
    answers = [each for trial in trials for each in trial.answers]
    ttft = [each.ttft for each in answers if not each.error]
    return Row(
        placement,
        len(answers),
        len(answers) - len(ttft),
        sum(each.wrong for each in answers),
        100 * sum(trial.loads for trial in trials) / len(answers),
        percentile(ttft, 0.5),
        percentile(ttft, 0.99),
        max(ttft),
    )


def rows(trials: Sequence[Trial]) -> list[Row]:
    """In the order of the first round."""
    names = dict.fromkeys(trial.placement for trial in sorted(trials, key=lambda trial: trial.round))
    return [row(name, [trial for trial in trials if trial.placement == name]) for name in names]


def table(found: Sequence[Row]) -> list[str]:
    """Markdown."""
    head = ["placement", "requests", "failed", "wrong", "loads per 100", "TTFT p50", "TTFT p99", "worst"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for each in found:
        counts = f"{each.requests} | {each.failed} | {each.wrong} | {each.loads_per_hundred:.1f}"
        times = f"{each.ttft_p50:.2f} s | {each.ttft_p99:.2f} s | {each.worst:.2f} s"
        lines.append(f"| {each.placement} | {counts} | {times} |")
    return lines


def verdicts(found: Sequence[Row]) -> list[tuple[bool, str]]:
    """The goals: nothing lost, nothing mixed up, and nobody waits longer than elsewhere."""
    goals = [
        (not each.failed and not each.wrong, f"{each.placement}: every answer, and the right one") for each in found
    ]
    ours = [each for each in found if each.placement == OURS]
    others = [each for each in found if ours and each.placement != OURS]
    goals += [
        (ours[0].ttft_p99 <= each.ttft_p99, f"{OURS}: p99 TTFT no higher than {each.placement}") for each in others
    ]
    return goals


def record(trials: Sequence[Trial]) -> dict[str, object]:
    """For the JSON file."""
    return {"placements": [asdict(each) for each in rows(trials)], "trials": [asdict(trial) for trial in trials]}
