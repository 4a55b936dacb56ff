"""The peers from PyPI: each in an environment of its own in the cache folder, made once. Called by `arena`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path


def folder_of(package: str, cache: Path) -> Path:
    """Where the environment of `package` (a pinned requirement) belongs."""
    return cache / "peers" / package.replace("==", "-").replace("[", "-").replace("]", "")


def ensure(package: str, cache: Path) -> Path:
    """The environment of `package`, installed if it is not there yet. Raises `CalledProcessError` where pip fails."""
    folder = folder_of(package, cache)
    complete = folder / "complete"
    if complete.exists():
        return folder
    print(f"installing {package} …", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    subprocess.run([str(folder / "bin" / "python"), "-m", "pip", "install", "-qq", package], check=True)
    complete.touch()
    return folder
