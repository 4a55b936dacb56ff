"""Makes an image's root folder without a container engine: a fresh Debian, and every instruction executed in it.

Called by `deploy.check.__main__`.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

from deploy.check.containerfile import Copy, Recipe, Run
from deploy.check.inside import DEVICES, Failed, entered, inside, must, say
from deploy.check.machine import Borrowed

ROOT: Final = Path(__file__).resolve().parents[2]
SUITE: Final = "bookworm"


def debian(root: Path) -> None:
    """A fresh Debian in the empty folder `root`, made as the base image is made. Raises `Failed`."""
    say(f"a clean Debian {SUITE}")
    must(["mmdebstrap", "--quiet", "--variant=minbase", SUITE, str(root)], "mmdebstrap failed")


def made(recipe: Recipe, root: Path, network: Borrowed) -> None:
    """Execute every action of `recipe` in `root`. Raises `Failed` at the first that fails."""
    for action in recipe.actions:
        match action:
            case Run():
                say(f"line {action.line}: RUN {action.command}")
                must(entered(root, _building(action, network)), f"line {action.line}: RUN failed")
            case Copy():
                say(f"line {action.line}: COPY {' '.join(action.sources)} {action.target}")
                copied(action, root)


def _building(run: Run, network: Borrowed) -> list[str]:
    """The script of one RUN: the image's own environment, and the machine's way to its package indexes."""
    command = inside(run.image, ["/bin/sh", "-c", run.command], network.variables)
    return [*network.mounts, *DEVICES, f"exec {command}"]


def copied(copy: Copy, root: Path) -> None:
    """Copy what git tracks below the sources; a folder gives its content, as COPY does. Raises `Failed`."""
    for source in copy.sources:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--", source], cwd=ROOT, capture_output=True, text=True, check=True
        )
        names = [name for name in listed.stdout.split("\0") if name]
        if not names:
            raise Failed(f"line {copy.line}: git tracks nothing at {source}")
        for name in names:
            inner = name.removeprefix(source) if source.endswith("/") else Path(name).name
            target = root / (copy.target + inner if copy.target.endswith("/") else copy.target).lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target)
