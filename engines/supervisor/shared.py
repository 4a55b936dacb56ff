"""What all pools share: made once by `main`, handed to every pool by `reconcile`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from engines.holds import Holds
from engines.launchers.launcher import Prepared
from engines.ledger.site import Lodge
from engines.probe import Prober
from engines.progress import Report
from engines.supervisor.attendance import Attendance
from engines.supervisor.board import Board
from engines.supervisor.events import Announce
from engines.supervisor.memory import Memory
from engines.supervisor.outlets import Clock
from engines.supervisor.pacing import Pacing
from engines.supervisor.parity import Parity
from engines.supervisor.starts import StartTimes
from registry.spec import ModelSpec, Registry


class PreparationFailed(Exception):
    """A model's environment or weights are not to be had now; the message says why and what to do."""


Prepare = Callable[[str, ModelSpec, Report], Awaitable[Prepared]]
"""Makes what a model's workers are started from, reporting progress. Raises `PreparationFailed`."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What all pools share."""

    board: Board
    holds: Holds
    prepare: Prepare
    prober: Prober
    parity: Parity
    pacing: Pacing
    clock: Clock
    starts: StartTimes
    memory: Memory
    attendance: Attendance
    lodge: Lodge
    models: Callable[[Registry], None]
    """Who else has to know what models there are."""
    announce: Announce
    report: Report
