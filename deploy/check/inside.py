"""Commands inside a root folder, in namespaces of their own, by the kernel alone. Needs root.

What a script mounts and starts is gone when it ends. Called by `image` (a build's commands) and `container` (the
finished image's).
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from deploy.check.containerfile import Image
from engines.processes import tether

DEVICES: Final = ("mount -t proc proc $1/proc", "mount -t sysfs -o ro sysfs $1/sys", "mount --rbind /dev $1/dev")
"""What a script mounts before it enters; `$1` is the root."""
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Failed(Exception):
    """Something did not do what it must; the message says which instruction or proof."""


def entered(root: Path, script: Sequence[str], *, alone: bool = False) -> list[str]:
    """The words that run the lines of `script` with `root` as `$1`; `alone`: with no network but a loopback."""
    spaces = ["--mount", "--pid", "--ipc", *(["--net"] if alone else [])]
    return ["unshare", *spaces, "--fork", "--kill-child", "sh", "-euc", "\n".join(script), "sh", str(root)]


def inside(image: Image, command: Sequence[str], variables: Mapping[str, str], *, bounded: bool = False) -> str:
    """A line of such a script: `command` as the image's user; `bounded`: with no way to more rights."""
    user, _, group = image.user.partition(":")
    bounds = ["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"] if bounded else []
    known = {"PATH": _PATH} | dict(variables) | dict(image.environment)
    words = ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", *bounds, "env", "-i"]
    words += [f"--chdir={image.folder}", *(f"{name}={value}" for name, value in known.items()), *command]
    return f"chroot $1 {shlex.join(words)}"


def must(words: Sequence[str], complaint: str) -> None:
    """Run `words`, their output shown; they end with this process at the latest. Raises `Failed` with `complaint`."""
    tethered = [sys.executable, "-I", "-S", tether.__file__, str(os.getpid()), *words]
    environ = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    if subprocess.run(tethered, env=environ, stdin=subprocess.DEVNULL, check=False).returncode != 0:
        raise Failed(f"{complaint}; its own words are above")


def say(line: str) -> None:
    """One line for the person who waits."""
    print(f"check: {line}", flush=True)
