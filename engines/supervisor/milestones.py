"""How far a starting engine is, read from its log and the time it took before. Pure; called by `worker`.

Engines say nothing about progress, so the text comes from lines that they are known to print on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from registry.snapshot import Loading

USUAL_START: Final = 60.0
"""Seconds, where no model has ever been started here before: a small one on two cores, its engine's modules still to be
compiled."""
_AT_LEAST_LEFT: Final = 0.1
"""Of the time that has passed: a start that takes longer than the last one is not about to end each second."""


@dataclass(frozen=True, slots=True)
class Milestone:
    """A text in the log, and what it shows to be under way."""

    text: str
    step: str
    over: float | None = None
    """The share of a start that has passed when the next milestone is reached, whatever the model and the machine: what
    is over by then are Python's imports, in three processes one after the other. None: that depends."""


MILESTONES: Final[Sequence[Milestone]] = (
    # The program that places workers on Ray (launchers/tools/placer.py).
    Milestone("waiting for the Ray cluster", "waiting for the Ray cluster"),
    Milestone("waiting for a node of the Ray cluster", "waiting for room on the Ray cluster"),
    Milestone("placed on node", "importing"),
    # vLLM 0.32, in the order of its log.
    Milestone("non-default args", "importing", over=0.59),
    Milestone("Initializing a V1 LLM engine", "starting the engine", over=0.85),
    Milestone("world_size=", "setting up the workers", over=0.86),
    Milestone("Starting to load model", "loading the weights"),
    Milestone("Loading weights took", "preparing the model"),
    Milestone("KV cache size", "warming up"),
    Milestone("Starting vLLM server", "opening its port"),
    Milestone("Application startup complete", "first token"),
)


def loading(log: str, elapsed: float, expected: float) -> Loading:
    """The step that the log has reached, and how far that is; `elapsed` and `expected` are seconds of the whole start.

    What is expected grows with what is seen: a machine that is slow up to one milestone is slow after it.
    """
    reached = [milestone for milestone in MILESTONES if milestone.text in log]
    last = reached[-1] if reached else Milestone("", "importing")
    slow = 0.0 if last.over is None else elapsed / last.over
    whole = max(expected, slow, elapsed * (1 + _AT_LEAST_LEFT), 1.0)
    return Loading(f"starting the worker: {last.step}", round(elapsed / whole, 2), round(max(whole - elapsed, 1.0)))
