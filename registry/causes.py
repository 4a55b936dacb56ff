"""Why workers end without having been asked to: the words that snapshots, events and metrics say. Pure."""

from __future__ import annotations

from enum import StrEnum


class Cause(StrEnum):
    """Why a worker ended without having been asked to. Decided by `engines.supervisor.endings`; never a guess."""

    OUT_OF_MEMORY = "out_of_memory"
    """The machine's memory, or what its control group may have of it."""
    DEVICE_OUT_OF_MEMORY = "device_out_of_memory"
    DEVICE_LOST = "device_lost"
    """The accelerator does not answer, or is broken: another process finds it no better."""
    DEVICE_ERROR = "device_error"
    """What ran on the accelerator failed there: another process usually finds it well."""
    KILLED = "killed"
    """By SIGKILL, and nobody knows whose."""
    UNRESPONSIVE = "unresponsive"
    """The supervisor ended it, because it served no longer."""
    CRASHED = "crashed"
    """Anything else."""
