"""`python -m deploy.check [TARGET]`: executes a target of deploy/Dockerfile in a clean Debian, and runs the result.

Needs root, Debian's mmdebstrap and iproute2, and the network; no container engine. Exit status: 0 it works, 1 it does
not, 2 it was called wrongly.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from deploy.check.container import served
from deploy.check.containerfile import Unreadable, recipe, targets
from deploy.check.image import ROOT, debian, made
from deploy.check.inside import Failed, say
from deploy.check.machine import borrowed

FILE: Final = ROOT / "deploy/Dockerfile"
KEYS: Final = {"ENGINEHOUSE_API_KEY": "check-key", "ENGINEHOUSE_ADMIN_KEY": "check-admin-key"}
MEMORY: Final = "/dev/shm"  # noqa: S108 (a folder made in it has a name of its own)
ENOUGH: Final = 8 * 2**30
"""Bytes: the gateway's root takes half a gigabyte, vLLM's CPU build five."""


def main(words: Sequence[str]) -> int:
    """The exit code."""
    text = FILE.read_text(encoding="utf-8")
    parser = argparse.ArgumentParser(prog="python -m deploy.check", description="Build a target, and run it.")
    parser.add_argument("target", nargs="?", default="gateway", choices=targets(text))
    parser.add_argument(
        "--keep", type=Path, help="a folder for the image's root, which stays; one that is there is run"
    )
    parser.add_argument("--answer", action="store_true", help="with the network: its model must answer; many minutes")
    asked = parser.parse_args(words)
    if lacking := lacks():
        sys.stderr.write(f"check: {lacking}\n")
        return 2
    root = asked.keep or Path(tempfile.mkdtemp(prefix="eh-image-", dir=quickest()))
    try:
        check(text, asked.target, root, answer=asked.answer)
    except (Failed, Unreadable) as fault:
        sys.stderr.write(f"check: {fault}\n")
        return 1
    finally:
        if asked.keep is None:
            shutil.rmtree(root)
    return 0


def quickest() -> str | None:
    """Where a root is made: in memory, which takes half the time, if it is enough; None: on disk."""
    return MEMORY if Path(MEMORY).is_dir() and shutil.disk_usage(MEMORY).free > ENOUGH else None


def lacks() -> str:
    """What this machine is missing for the check; empty: nothing."""
    if os.geteuid() != 0:
        return "root is needed, to enter a root folder of its own"
    absent = [name for name in ("mmdebstrap", "unshare", "setpriv", "ip", "git") if shutil.which(name) is None]
    return f"not installed: {', '.join(absent)}" if absent else ""


def check(text: str, target: str, root: Path, *, answer: bool) -> None:
    """Make `target` in `root`, unless something is there, and run it. Raises `Failed` or `Unreadable`."""
    began, how, network = time.monotonic(), recipe(text, target), borrowed(os.environ)
    if not root.exists() or not any(root.iterdir()):
        debian(root)
        made(how, root, network)
        say(f"made {target} in {time.monotonic() - began:.0f} s, in place of {how.base}")
    served(how.image, root, KEYS, network if answer else None)
    say(f"{target} is as it must be")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
