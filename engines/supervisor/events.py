"""What a supervisor tells whoever started it, as values. The supervisor prints nothing; `cli` decides what to show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from engines.ledger.events import AdapterDeclined, AdaptersApart, AdaptersTogether, AdapterTaken
from registry.causes import Cause
from registry.changes import Step


@dataclass(frozen=True, slots=True)
class Listening:
    """The public address is bound and a gateway is being started."""

    url: str


@dataclass(frozen=True, slots=True)
class GatewayStarted:
    """A gateway process runs; `restarts` counts the ones before it in its place."""

    pid: int
    restarts: int


@dataclass(frozen=True, slots=True)
class GatewayLost:
    """A gateway process ended without having been asked; a new one follows."""

    reason: str
    log: str


@dataclass(frozen=True, slots=True)
class ModelReady:
    """The first worker of a model has become ready, so many seconds after it was asked for."""

    model: str
    seconds: float


@dataclass(frozen=True, slots=True)
class ModelFailed:
    """A model could not be prepared, or has no room in memory; tried again in `retry_in` seconds (None: never)."""

    model: str
    reason: str
    retry_in: float | None


@dataclass(frozen=True, slots=True)
class WorkerLost:
    """A worker ended without having been asked. `tail` is the end of its log; `retry_in` None: held down, or it
    `slept`, and nobody waits for it.
    """

    model: str
    worker: str
    reason: str
    log: str
    tail: tuple[str, ...]
    retry_in: float | None
    slept: bool = False
    cause: Cause = Cause.CRASHED


@dataclass(frozen=True, slots=True)
class Scaled:
    """A model whose number of workers follows its requests is to have another one."""

    model: str
    before: int
    size: int


@dataclass(frozen=True, slots=True)
class Reloaded:
    """The registry file was read again and is obeyed."""

    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class ReloadRefused:
    """The registry file was read again and has faults: nothing changes."""

    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Swapping:
    """A model's pool is being replaced: the new one is prepared."""

    model: str


@dataclass(frozen=True, slots=True)
class Swapped:
    """A model's new pool serves, so many seconds after it was asked for; the old one ends what it has."""

    model: str
    seconds: float
    parity: str


@dataclass(frozen=True, slots=True)
class RolledBack:
    """A model's new pool did not come up: the old one goes on."""

    model: str
    reason: str


@dataclass(frozen=True, slots=True)
class CutShort:
    """Workers that left still had requests after so many seconds, and are stopped all the same."""

    model: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Draining:
    """Asked to stop: open requests have so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Stopped:
    """Nothing is left running."""


Announcement = (
    Listening
    | GatewayStarted
    | GatewayLost
    | ModelReady
    | ModelFailed
    | WorkerLost
    | Scaled
    | Reloaded
    | ReloadRefused
    | AdapterTaken
    | AdapterDeclined
    | AdaptersApart
    | AdaptersTogether
    | Swapping
    | Swapped
    | RolledBack
    | CutShort
    | Draining
    | Stopped
)
Announce = Callable[[Announcement], None]


def unheard(_: Announcement) -> None:
    """An `Announce` for callers who do not care."""
