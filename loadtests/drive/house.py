"""`enginehouse serve` for the length of a load test: a free port, a state folder of its own. Used by `__main__`."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from engines.processes import tether
from loadtests.ports import free_port
from loadtests.users.settings import Mistaken

ROOT: Final = Path(__file__).resolve().parents[2]
_LOOK: Final = 0.2
"""Seconds between two questions whether it is ready."""
_GRACE: Final = 60.0
"""Seconds that it has to stop; it drains and kills its engines in far less."""


@contextmanager
def served(registry: Path, env: Mapping[str, str]) -> Iterator[str]:
    """The URL of a house that is ready, its own progress shown meanwhile. Raises `Mistaken` where it ends before."""
    # Unix sockets have short paths, so that this cannot be below just any folder.
    state, port = Path(tempfile.mkdtemp(prefix="eh-load-")), free_port()
    words = [str(Path(sys.executable).parent / "enginehouse"), "serve", "--registry", str(registry)]
    keyless = {name: value for name, value in env.items() if not name.startswith("ENGINEHOUSE_") or "KEY" not in name}
    try:
        with child([*words, "--port", str(port), "--state", str(state)], keyless, alone=True) as process:
            while not _ready(port):
                if process.poll() is not None:
                    raise Mistaken(f"enginehouse serve ended with status {process.returncode}; its words are above")
                time.sleep(_LOOK)
            yield f"http://127.0.0.1:{port}"
    finally:
        shutil.rmtree(state, ignore_errors=True)


@contextmanager
def child(
    words: Sequence[str], env: Mapping[str, str], *, alone: bool = False, merge: bool = False
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that does not outlive the block, nor this process.

    `alone`: Ctrl-C on the terminal is not for it. `merge`: it has one output, with its errors in their places.
    """
    tethered = [sys.executable, "-I", "-S", str(Path(tether.__file__)), str(os.getpid()), *words]
    process = subprocess.Popen(
        tethered,
        cwd=ROOT,
        env=dict(env),
        process_group=0 if alone else None,
        stderr=subprocess.STDOUT if merge else None,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.terminate()
            process.wait(_GRACE)
        process.kill()
        process.wait()


def _ready(port: int) -> bool:
    asked = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        asked.request("GET", "/readyz")
        return asked.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        asked.close()
