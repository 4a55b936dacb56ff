"""How this machine reaches its package indexes, so that a container's root can reach them the same way.

A container engine gives a build its network; behind a proxy or a mirror pip needs the machine's settings and its
certificates too. Pure but for reading them. Called by `deploy.check.image`.
"""

from __future__ import annotations

import re
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
