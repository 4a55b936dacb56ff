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
from deploy.check.machine import Borrowed

TRIES: Final = 120
"""Seconds that a container has to become healthy."""
LONG: Final = 1800
"""Seconds that it has to fetch and quantize its model, and to answer."""
_ASK: Final = """
import json, os, urllib.request as u
question = {"role": "user", "content": "What is the capital of France?"}
body = {"model": "default", "messages": [question], "max_tokens": 24}
headers = {"content-type": "application/json", "authorization": "Bearer " + os.environ["ENGINEHOUSE_API_KEY"]}
call = u.Request("http://127.0.0.1:8000/v1/chat/completions", json.dumps(body).encode(), headers)
print(json.load(u.urlopen(call, timeout=120))["choices"][0]["message"]["content"])
"""


def served(image: Image, root: Path, keys: Mapping[str, str], network: Borrowed | None) -> None:
    """Run the image's own command until its health check passes, and stop it. Raises `Failed`.

    `network`: the machine's, with which its model must answer as well; None: it has a loopback and nothing else.
    """
    say(f"running {shlex.join((*image.entrypoint, *image.arguments))}")
    script = _serving(image, keys, network)
    must(entered(root, script, alone=network is None), "the container did not run as it must")


def _serving(image: Image, keys: Mapping[str, str], network: Borrowed | None) -> list[str]:
    """Prints each proof; ends with 0 if the root cannot be written, and the container was healthy and stopped."""
    variables = dict(keys) | (network.variables if network else {})
    command = inside(image, (*image.entrypoint, *image.arguments), variables, bounded=True)
    writing = inside(image, ["touch", "/opt/enginehouse/written"], {}, bounded=True)
    return [
        "mount --bind $1 $1",
        *(network.mounts if network else ["ip link set lo up"]),
        *(line for volume in ("/tmp", *image.volumes) for line in _volume(volume, image.user)),  # noqa: S108 - the container's own
        *DEVICES,
        "mount -o remount,bind,ro $1",
        f"if {writing} 2>/dev/null; then echo 'the root can be written'; exit 1; fi",
        f"{command} &",
        "server=$!",
        *_until(inside(image, image.health, {}, bounded=True), "healthy", TRIES),
        *(f"grep -q '^{proof}' $1/proc/$server/status" for proof in _proofs(image)),
        *(
            _until(inside(image, ["python3", "-c", _ASK], keys, bounded=True), "able to answer", LONG)
            if network
            else ()
        ),
        "kill -TERM $server",
        "wait $server && status=0 || status=$?",
        'echo "it was healthy, bounded, and ended with $status"',
        # 130: stopped before any model was ready, as it must be without a network.
        "[ $status = 0 ]" if network else "[ $status = 0 ] || [ $status = 130 ]",
    ]


def _until(command: str, wish: str, tries: int) -> list[str]:
    """Lines that run `command` every second until it ends well."""
    return [
        f"tries={tries}",
        f"until {command} 2>/dev/null; do",
        "  kill -0 $server || { echo 'it ended'; exit 1; }",
        f"  tries=$((tries - 1)); [ $tries -gt 0 ] || {{ echo 'it was never {wish}'; exit 1; }}; sleep 1",
        "done",
    ]


def _proofs(image: Image) -> tuple[str, ...]:
    """Lines of the server's /proc/PID/status, as patterns: its user, and that it has no right and gets none."""
    user = image.user.partition(":")[0]
    return (f"Uid:.{user}.{user}.{user}", "CapEff:.0*$", "CapBnd:.0*$", "NoNewPrivs:.1")


def _volume(path: str, user: str) -> list[str]:
    """An empty volume that the container's user owns."""
    return [f"mkdir -p $1{path}", f"mount -t tmpfs -o mode=0700 volume $1{path}", f"chown {user} $1{path}"]
