"""The command's first half second."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.processes import ROOT

LOADED = """
import os, signal, sys
from cli.entry import main

class Impatient:
    def find_spec(self, name, path=None, target=None):
        if name == "cli.serve":
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.{before})
sys.meta_path.insert(0, Impatient())
sys.argv = ["enginehouse", "--version"]
sys.exit(main())
"""
"""A program that gets Ctrl-C while it loads the command."""


@pytest.mark.parametrize(("before", "status"), [("default_int_handler", -signal.SIGINT), ("SIG_IGN", 0)])
def test_ctrl_c_while_it_is_loaded_is_no_traceback(before, status):
    """And where it is to be ignored, as in the background, it still is."""
    argv = [sys.executable, "-c", LOADED.format(before=before)]
    ended = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (status, "")
