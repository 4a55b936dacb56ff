"""Runs a finished image as a container engine would: its user, no capability, a read-only root, its volumes.

Called by `deploy.check.__main__`.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from deploy.check.containerfile import Image
from deploy.check.inside import DEVICES, entered, inside, must, say

TRIES: Final = 120
"""Seconds that a container has to become healthy."""


def served(image: Image, root: Path, secrets: Mapping[str, str]) -> None:
    """Run the image's own command until its health check passes, then stop it. Raises `Failed`."""
    say(f"running {shlex.join((*image.entrypoint, *image.arguments))}")
    must(entered(root, _serving(image, secrets), alone=True), "the container did not run as it must")


def _serving(image: Image, secrets: Mapping[str, str]) -> list[str]:
    """Prints each proof; ends with 0 if the root cannot be written, and the container was healthy and stopped."""
    command = inside(image, (*image.entrypoint, *image.arguments), secrets, bounded=True)
    health = inside(image, image.health, {}, bounded=True)
    writing = inside(image, ["touch", "/opt/enginehouse/written"], {}, bounded=True)
    return [
        "mount --bind $1 $1",
        *(line for volume in ("/tmp", *image.volumes) for line in _volume(volume, image.user)),  # noqa: S108
        *DEVICES,
        "mount -o remount,bind,ro $1",
        "ip link set lo up",
        f"if {writing} 2>/dev/null; then echo 'the root can be written'; exit 1; fi",
        f"{command} &",
        f"server=$! tries={TRIES}",
        f"until {health} 2>/dev/null; do",
        "  kill -0 $server || { echo 'it ended'; exit 1; }",
        "  tries=$((tries - 1)); [ $tries -gt 0 ] || { echo 'it never became healthy'; exit 1; }; sleep 1",
        "done",
        *(f"grep -q '^{proof}' $1/proc/$server/status" for proof in _proofs(image)),
        "kill -TERM $server",
        "wait $server && status=0 || status=$?",
        'echo "it was healthy, bounded, and ended with $status"',
        # 130: stopped before any model was ready, as it must be here, without a network.
        "[ $status = 0 ] || [ $status = 130 ]",
    ]


def _proofs(image: Image) -> tuple[str, ...]:
    """Lines of the server's /proc/PID/status, as patterns: its user, and that it has no right and gets none."""
    user = image.user.partition(":")[0]
    return (f"Uid:.{user}.{user}.{user}", "CapEff:.0*$", "CapBnd:.0*$", "NoNewPrivs:.1")


def _volume(path: str, user: str) -> list[str]:
    """An empty volume that the container's user owns."""
    return [f"mkdir -p $1{path}", f"mount -t tmpfs -o mode=0700 volume $1{path}", f"chown {user} $1{path}"]
