"""What the end of an attempt says about its worker: one reading for `relay` and `resuming`, acted upon in one place."""

from __future__ import annotations

from gateway.call import Notice
from gateway.errors import AdapterMissing, EngineRefused, FirstTokenTimeout, TimedOut, WorkerBusy, WorkerFailed
from gateway.pool.lease import Lease, Outcome


def settle(lease: Lease, fault: BaseException, suspect: Notice, now: float) -> None:
    """Give the worker of a failed attempt back; `suspect` is told of it if it is to blame. `now`: the pool's clock."""
    if isinstance(fault, WorkerBusy) and fault.retry_after is not None:
        lease.worker.breaker.rests(now + fault.retry_after)  # before its room is given to the next one
    lease.release(outcome_of(fault))
    if isinstance(fault, WorkerFailed | FirstTokenTimeout) and not isinstance(fault, WorkerBusy):
        suspect(lease.worker.id, str(fault))  # who says that it is busy, or lacks something, is well


def outcome_of(fault: BaseException) -> Outcome:
    """What an attempt's end says about the worker: the engine's own refusal is good work."""
    if isinstance(fault, EngineRefused):
        return Outcome.WORKED
    if isinstance(fault, AdapterMissing):
        return Outcome.MISSING
    if isinstance(fault, WorkerBusy) and fault.retry_after is not None:
        return Outcome.UNKNOWN  # it rests for as long as it asked to
    return Outcome.FAILED if isinstance(fault, WorkerFailed | TimedOut) else Outcome.UNKNOWN
