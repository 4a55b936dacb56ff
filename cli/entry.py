"""What the `enginehouse` script runs: loads the command, and then it. Whoever interrupts the loading sees no traceback.

That takes half a second, and several on a busy machine.
"""

from __future__ import annotations

import importlib
import signal


def main() -> int:
    """The exit status of `cli.__main__.main`; interrupted before it has begun, it ends as any program does."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    command = importlib.import_module("cli.__main__")
    signal.signal(signal.SIGINT, before)
    status: int = command.main()
    return status
