"""How this machine reaches its package indexes, so that a container's root can reach them the same way.

A container engine gives a build its network; behind a proxy or a mirror pip needs the machine's settings and its
certificates too. Pure but for reading them. Called by `image`, and by `container` where it is to fetch weights.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PLACE: Final = "/run/machine"
"""The folder of a container under which the machine's own files are shown; it is not part of the image."""

_SETTINGS: Final = re.compile(r"(?i)^(PIP_.*|SSL_CERT_FILE|REQUESTS_CA_BUNDLE|(https?|no)_proxy)$")
_PATH: Final = re.compile(r"(?<![\w/:.-])/[\w.@+/-]+|(?<=file://)/[\w.@+/-]+")


@dataclass(frozen=True, slots=True)
class Borrowed:
    """Variables for a build, pip's own file (its text), and the paths that they speak of."""

    environment: Mapping[str, str]
    configuration: str
    paths: frozenset[str]

    @property
    def variables(self) -> dict[str, str]:
        """What a command in the container is given beside its own."""
        return {"PIP_CONFIG_FILE": f"{PLACE}/pip.conf", **self.environment}

    @property
    def mounts(self) -> list[str]:
        """Lines of a script that show all of it in the root `$1`, and the machine's name servers."""
        lines = [f"mkdir -p $1{PLACE}", f"mount -t tmpfs machine $1{PLACE}"]
        for path in sorted(self.paths):
            target, here = shlex.quote(PLACE + path), shlex.quote(path)
            make = "mkdir -p" if Path(path).is_dir() else "install -D /dev/null"
            lines += [f"{make} $1{target}", f"mount --bind {here} $1{target}"]
        lines.append(f"printf %s {shlex.quote(self.configuration)} > $1{PLACE}/pip.conf")
        return [*lines, "touch $1/etc/resolv.conf", "mount --bind /etc/resolv.conf $1/etc/resolv.conf"]


def borrowed(environ: Mapping[str, str], configuration: Path = Path("/etc/pip.conf")) -> Borrowed:
    """Everything that names files here names them below `PLACE` in the result."""
    paths: set[str] = set()

    def moved(text: str) -> str:
        return _PATH.sub(lambda found: PLACE + found[0] if _seen(found[0], paths) else found[0], text)

    settings = {name: moved(value) for name, value in environ.items() if _SETTINGS.match(name)}
    text = moved(configuration.read_text(encoding="utf-8")) if configuration.exists() else ""
    return Borrowed(settings, text, frozenset(paths))


def _seen(path: str, paths: set[str]) -> bool:
    if not Path(path).exists():
        return False
    paths.add(path)
    return True
