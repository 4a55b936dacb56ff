"""What the kernel says of a process."""

from __future__ import annotations

import os
import subprocess
import sys

from engines.processes import sessions


def test_a_process_runs_until_it_ends_whether_somebody_has_waited_for_it_or_not():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        before = sessions.runs(process.pid)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        ended = sessions.runs(process.pid)
    assert (before, ended, sessions.runs(process.pid)) == (True, False, False)
