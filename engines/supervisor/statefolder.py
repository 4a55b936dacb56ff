"""The state folder: one supervisor at a time, by a lock that the kernel gives back however the supervisor ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engines.supervisor.settings import ServeRefused


@contextmanager
def locked(state: Path) -> Iterator[None]:
    """Holds `STATE/supervisor.lock`. Raises `ServeRefused` while another supervisor holds it, or without a place."""
    try:
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(state / "supervisor.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as fault:
        raise ServeRefused(f"cannot write to the state folder {state}: {fault.strerror}; use --state") from fault
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as taken:
            holder = os.read(lock, 32).decode("ascii", "replace").strip()
            raise ServeRefused(
                f"another supervisor (pid {holder or 'unknown'}) uses {state}; stop it, or use another --state"
            ) from taken
        os.truncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(lock)
