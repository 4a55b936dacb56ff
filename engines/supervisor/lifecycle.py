"""A worker's life as a pure state machine: events in, a new `Life` out. The only owner of `WorkerState`.

`worker` calls `step` for whatever happens; nobody else changes a state. Times are seconds of one monotonic clock,
passed in.

    state        started   proved  good probe  bad probe   exited / hung    asked     gone     lulled    called
    STARTING     STARTING  READY   -           -           BACKOFF or LOOP  DRAINING  -        -         -
    READY        -         -       READY       UNHEALTHY*  BACKOFF or LOOP  DRAINING  -        SLEEPING  -
    UNHEALTHY    -         -       READY**     UNHEALTHY   BACKOFF or LOOP  DRAINING  -        -         -
    SLEEPING     -         -       -           -           STOPPED          DRAINING  -        -         STARTING
    BACKOFF      STARTING  -       -           -           -                DRAINING  -        -         -
    CRASH_LOOP   -         -       -           -           -                DRAINING  -        -         -
    DRAINING     -         -       -           -           DRAINING         DRAINING  STOPPED  -         -

    *  at the second bad probe in a row     **  at the second good one in a row     -  the event is passed over
BACKOFF lasts 1 s, doubled with each crash of the last ten minutes, 60 s at most; the fifth crash in ten minutes is
CRASH_LOOP, which only a new start of the supervisor (or a changed registry) ends. Nobody waits for one that sleeps: if
its process ends, it is not started again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Final

from registry.snapshot import WorkerState


class Event(Enum):
    """What can happen to a worker."""

    STARTED = auto()
    """Its process was started, or looking for it began."""
    PROVED = auto()
    """It is healthy and has generated a real token."""
    GOOD_PROBE = auto()
    BAD_PROBE = auto()
    EXITED = auto()
    """Its process ended, or was ended because it hung, without having been asked to."""
    ASKED = auto()
    """It shall go."""
    GONE = auto()
    """It was asked to go, and nothing of it is left."""
    LULLED = auto()
    """Nobody needs it, and no gateway holds anything there: it is sent to sleep."""
    CALLED = auto()
    """It shall wake."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a life changes; the defaults are the product's (FAULTS)."""

    bad_probes: int = 2
    good_probes: int = 2
    first_backoff: float = 1.0
    longest_backoff: float = 60.0
    crashes: int = 5
    window: float = 600.0


@dataclass(frozen=True, slots=True)
class Life:
    """One worker's present. Invariant: `retry_at` is set exactly in BACKOFF."""

    state: WorkerState = WorkerState.BACKOFF
    reason: str = ""
    """Why it is not ready, for people; empty when it is."""
    crashes: tuple[float, ...] = ()
    """When it crashed, within the window."""
    starts: int = 0
    retry_at: float | None = 0.0
    """When the next start is due."""
    streak: int = 0
    """Probes in a row that contradict the state."""
    naps: int = 0
    """How often it was sent to sleep."""

    @property
    def restarts(self) -> int:
        """Starts after the first."""
        return max(0, self.starts - 1)


_ALIVE: Final = frozenset({WorkerState.STARTING, WorkerState.READY, WorkerState.UNHEALTHY})


def step(life: Life, event: Event, now: float, reason: str = "", limits: Limits = Limits()) -> Life:
    """The life after `event`. Events that the state does not know change nothing."""
    return _STEPS[event](life, now, reason, limits)


def hopeless(life: Life, *, dead: bool, unhealthy_for: float, hung_after: float) -> bool:
    """Whether only another process can help: it is unhealthy, and known to be dead or so for too long. Seconds.

    A server may have closed its listener and wait for ever for the answers that are still open (vLLM after a SIGTERM
    that came from outside, uvicorn on the whole): its clients hear nothing until the process ends.
    """
    return life.state is WorkerState.UNHEALTHY and (dead or unhealthy_for > hung_after)


def _started(life: Life, _now: float, reason: str, _limits: Limits) -> Life:
    if life.state is not WorkerState.BACKOFF:
        return life
    reason = reason or "starting"
    return replace(life, state=WorkerState.STARTING, reason=reason, starts=life.starts + 1, retry_at=None, streak=0)


def _proved(life: Life, _now: float, _reason: str, _limits: Limits) -> Life:
    if life.state is not WorkerState.STARTING:
        return life
    return replace(life, state=WorkerState.READY, reason="", streak=0)


def _good_probe(life: Life, _now: float, _reason: str, limits: Limits) -> Life:
    if life.state is WorkerState.READY:
        return replace(life, streak=0)
    if life.state is not WorkerState.UNHEALTHY:
        return life
    if life.streak + 1 < limits.good_probes:
        return replace(life, streak=life.streak + 1)
    return replace(life, state=WorkerState.READY, reason="", streak=0)


def _bad_probe(life: Life, _now: float, reason: str, limits: Limits) -> Life:
    if life.state is WorkerState.UNHEALTHY:
        return replace(life, reason=reason, streak=0)
    if life.state is not WorkerState.READY:
        return life
    if life.streak + 1 < limits.bad_probes:
        return replace(life, streak=life.streak + 1)
    return replace(life, state=WorkerState.UNHEALTHY, reason=reason, streak=0)


def _exited(life: Life, now: float, reason: str, limits: Limits) -> Life:
    if life.state is WorkerState.SLEEPING:
        return replace(life, state=WorkerState.STOPPED, reason=f"ended while it slept: {reason}")
    if life.state not in _ALIVE:
        return life
    crashes = (*(at for at in life.crashes if now - at < limits.window), now)
    if len(crashes) >= limits.crashes:
        held = f"held down after {len(crashes)} crashes in {limits.window / 60:.0f} minutes; the last: {reason}"
        return replace(life, state=WorkerState.CRASH_LOOP, reason=held, crashes=crashes, streak=0)
    wait = min(limits.first_backoff * 2 ** (len(crashes) - 1), limits.longest_backoff)
    return replace(life, state=WorkerState.BACKOFF, reason=reason, crashes=crashes, retry_at=now + wait, streak=0)


def _asked(life: Life, _now: float, reason: str, _limits: Limits) -> Life:
    if life.state is WorkerState.STOPPED:
        return life
    return replace(life, state=WorkerState.DRAINING, reason=reason or "stopping", retry_at=None, streak=0)


def _gone(life: Life, _now: float, _reason: str, _limits: Limits) -> Life:
    if life.state is not WorkerState.DRAINING:
        return life
    return replace(life, state=WorkerState.STOPPED, reason="stopped")


def _lulled(life: Life, _now: float, _reason: str, _limits: Limits) -> Life:
    if life.state is not WorkerState.READY:
        return life
    told = "the next request wakes it"
    return replace(life, state=WorkerState.SLEEPING, reason=told, streak=0, naps=life.naps + 1)


def _called(life: Life, _now: float, _reason: str, _limits: Limits) -> Life:
    if life.state is not WorkerState.SLEEPING:
        return life
    return replace(life, state=WorkerState.STARTING, reason="waking up")


_STEPS: Final[Mapping[Event, Callable[[Life, float, str, Limits], Life]]] = {
    Event.STARTED: _started,
    Event.PROVED: _proved,
    Event.GOOD_PROBE: _good_probe,
    Event.BAD_PROBE: _bad_probe,
    Event.EXITED: _exited,
    Event.ASKED: _asked,
    Event.GONE: _gone,
    Event.LULLED: _lulled,
    Event.CALLED: _called,
}
