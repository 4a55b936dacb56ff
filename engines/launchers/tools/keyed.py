"""`python keyed.py MODULE FLAG [ARGUMENT…]`: runs MODULE as `python -m` does, with FLAG and the worker's key added.

For engines that take their key from the command line alone: other users of a machine can read command lines, so the
key travels in ENGINEHOUSE_WORKER_KEY and joins the arguments inside the process. Without that variable no flag is
added. The dialects name this file in their `launch`.
"""

from __future__ import annotations

import os
import runpy
import sys


def main() -> None:
    """What follows is the engine's, its exit status too."""
    module, flag, *arguments = sys.argv[1:]
    key = os.environ.pop("ENGINEHOUSE_WORKER_KEY", "")
    sys.argv = [module, *arguments, *([f"{flag}={key}"] if key else [])]
    sys.path[0] = ""  # as for `-m`, instead of this file's folder
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
