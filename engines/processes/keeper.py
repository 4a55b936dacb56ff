"""Keeps one engine: `python -I -S keeper.py GRACE REPORT_FD PROGRAM ARGUMENT…`. Standard library only.

The supervisor starts one keeper for each worker and holds the other end of its standard input. When that closes
(the supervisor is gone, however it died), or on SIGTERM, or when the engine ends by itself, the keeper stops
everything that the engine started: SIGTERM to its process group, `GRACE` seconds, then SIGKILL to every descendant.
It is their subreaper, so even a grandchild that left the group comes back to it and is reaped.
A second SIGTERM means: without grace. The engine's pid is written to REPORT_FD; the keeper's exit status is the
engine's, 128 + n for signal n.

It is two processes: the one that was started stands by for its child, which does all this. Whichever of them is killed,
even together with the supervisor, the other one ends the engine and what it started.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import sys
import time
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_STDIN: Final = 0
_NOT_FOUND: Final = 127
_STOPS: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
_WATCHED: Final = _STOPS | {signal.SIGCHLD}
_TICK: Final = 0.05
"""Seconds between two looks at what is left, while stopping."""


def main(argv: list[str]) -> int:
    """Keeps the engine. Returns its exit status, in the process that was started."""
    grace, report, program = float(argv[0]), int(argv[1]), argv[2:]
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)  # none may be lost while nobody is there to hear it
    child = os.fork()
    if child:
        os.close(report)
        return _stand_by(child)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    os._exit(_keep(grace, report, program, libc))


def _stand_by(child: int) -> int:
    """Passes signals on until the child ends, and ends what is left then: nothing, unless it was killed."""
    while True:
        number = signal.sigwait(_WATCHED)
        if number != signal.SIGCHLD:
            os.kill(child, number)
        elif (status := _reap().get(child)) is not None:
            break
    while left := _descendants():
        _kill(left)
        _reap()
        time.sleep(_TICK)
    return status


def _keep(grace: float, report: int, program: list[str], libc: ctypes.CDLL) -> int:
    """Starts the engine, waits for a reason to stop, stops it all. Returns the engine's exit status."""
    wakeup, waker = os.pipe()
    for end in (wakeup, waker):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    for number in _WATCHED:
        signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
    engine = _start(program, libc)
    os.write(report, b"%d\n" % engine)
    os.close(report)
    status = _wait(engine, wakeup)
    return _stop(engine, grace, status, wakeup)


def _start(program: list[str], libc: ctypes.CDLL) -> int:
    keeper = os.getpid()
    engine = os.fork()
    if engine:
        with contextlib.suppress(OSError):
            os.setpgid(engine, engine)
        return engine
    try:
        os.setpgid(0, 0)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != keeper:
            os._exit(1)
        signal.set_wakeup_fd(-1)
        for number in _WATCHED:
            signal.signal(number, signal.SIG_DFL)
        nowhere = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nowhere, _STDIN)
        os.execvp(program[0], program)  # noqa: S606 (an argument vector, no shell)
    except OSError as fault:
        os.write(2, f"cannot start {program[0]}: {fault.strerror}\n".encode())
    os._exit(_NOT_FOUND)


def _wait(engine: int, wakeup: int) -> int | None:
    """Blocks until the engine ends (its status) or somebody wants it to (None)."""
    while True:
        ready, _, _ = select.select([_STDIN, wakeup], [], [])
        # The pipe is drained before the reaping: a child that ends in between has its byte still in it.
        asked = wakeup in ready and _asked(wakeup)
        ended = _reap()
        if engine in ended:
            return ended[engine]
        if asked or (_STDIN in ready and not os.read(_STDIN, 1024)):
            return None


def _asked(wakeup: int) -> bool:
    """Whether a signal to stop has come since the last look."""
    try:
        return not _STOPS.isdisjoint(os.read(wakeup, 1024))
    except BlockingIOError:
        return False


def _stop(engine: int, grace: float, status: int | None, wakeup: int) -> int:
    """Ends everything that is left, and waits until nothing is. Another signal to stop means: at once."""
    deadline = time.monotonic() + (grace if status is None else 0.0)
    _signal_group(engine, signal.SIGTERM)
    while _descendants() or status is None:
        ended = _reap()
        status = ended.get(engine, status)
        if _asked(wakeup):
            deadline = 0.0
        if time.monotonic() >= deadline:
            _signal_group(engine, signal.SIGKILL)
            _kill(_descendants())
        time.sleep(_TICK)
    return status


def _kill(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _reap() -> dict[int, int]:
    """Every child that has ended, with its exit status."""
    ended = {}
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                break
            code = os.waitstatus_to_exitcode(status)
            ended[pid] = code if code >= 0 else 128 - code
    return ended


def _descendants() -> list[int]:
    """Every process below this one that still runs, by the kernel's parent links."""
    parents = {}
    for entry in os.listdir("/proc"):  # noqa: PTH208 (pathlib would triple the keeper's start and memory)
        if entry.isdigit():
            with contextlib.suppress(OSError):
                parents[int(entry)] = _parent(entry)
    found: list[int] = []
    edge = {os.getpid()}
    while edge:
        edge = {pid for pid, parent in parents.items() if parent in edge}
        found += edge
    return found


def _parent(pid: str) -> int:
    with open(f"/proc/{pid}/stat", "rb") as stat:  # noqa: PTH123 (the same)
        # The second field is the name in parentheses, and may hold anything.
        return int(stat.read().rpartition(b")")[2].split()[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
