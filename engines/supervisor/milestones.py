"""How far a starting engine is, read from its log and the time it took before. Pure; called by `worker`.

Engines say nothing about progress, so the text comes from lines that they are known to print on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from registry.snapshot import Loading

USUAL_START: Final = 40.0
"""Seconds, where this model has never been started here before."""
_NEVER_DONE: Final = 0.97
"""Only a proved worker is at 1."""


@dataclass(frozen=True, slots=True)
class Milestone:
    """A text in the log, and what it shows to be under way."""

    text: str
    step: str


MILESTONES: Final[Sequence[Milestone]] = (
    # The program that places workers on Ray (launchers/tools/placer.py).
    Milestone("waiting for the Ray cluster", "waiting for the Ray cluster"),
    Milestone("waiting for a node of the Ray cluster", "waiting for room on the Ray cluster"),
    Milestone("placed on node", "importing"),
    # vLLM 0.32, in the order of its log.
    Milestone("Initializing a V1 LLM engine", "starting the engine"),
    Milestone("world_size=", "setting up the workers"),
    Milestone("Starting to load model", "loading the weights"),
    Milestone("Loading weights took", "preparing the model"),
    Milestone("KV cache size", "warming up"),
    Milestone("Starting vLLM server", "opening its port"),
    Milestone("Application startup complete", "first token"),
)


def loading(log: str, elapsed: float, expected: float) -> Loading:
    """The step that the log has reached, and the share of the `expected` seconds that have passed."""
    reached = [milestone.step for milestone in MILESTONES if milestone.text in log]
    step = f"starting the worker: {reached[-1] if reached else 'importing'}"
    fraction = min(elapsed / expected, _NEVER_DONE) if expected > 0 else None
    return Loading(step, fraction and round(fraction, 2), round(max(expected - elapsed, 1.0)))
