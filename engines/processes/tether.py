"""Ties a program's life to its parent's: `python -I -S tether.py PARENT_PID PROGRAM ARGUMENT…`. Standard library only.

The supervisor starts gateways through it, `program` what installs and converts. The parent-death signal survives
`exec`, so the program needs no help.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


def die_with(parent: int) -> None:
    """From now on the kernel kills this process when its parent dies. Ends at once if it is dead already."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # The parent may have died before the call above; then nobody would ever tell us.
    if os.getppid() != parent:
        os._exit(1)


if __name__ == "__main__":
    die_with(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 (an argument vector, no shell)
