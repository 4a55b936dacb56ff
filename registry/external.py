"""Workers that somebody else runs: where they are, and how they are spoken to. Pure. Part of `spec`."""

from __future__ import annotations

import re
from typing import Annotated, Final, NamedTuple

from pydantic import AfterValidator, Field

from registry.strict import Duration, Strict

_HOST: Final = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_URL: Final = re.compile(rf"https?://(?:{_HOST}|\[[0-9A-Fa-f:.]+\])(?::([0-9]{{1,5}}))?/?")
_DNS: Final = re.compile(rf"dns://({_HOST}):([0-9]{{1,5}})/?")
_LARGEST_PORT: Final = 65535
_LONGEST_NAME: Final = 253
"""Of what DNS takes."""


class Lookup(NamedTuple):
    """A name that stands for the addresses of workers, and the port that all of them listen on."""

    host: str
    port: int


def lookup(url: str) -> Lookup | None:
    """What `url` has looked up; None: it is an address itself."""
    match = _DNS.fullmatch(url)
    return Lookup(match[1], int(match[2])) if match else None


def _url(url: str) -> str:
    rule = "must be http://host:port, https://host:port or dns://name:port"
    if "@" in url:
        raise ValueError(f"{rule}, without a user or password")
    match, named = _URL.fullmatch(url), lookup(url)
    port = named.port if named else int(match[1] or 1) if match else 0
    if not 0 < port <= _LARGEST_PORT or (named and len(named.host) > _LONGEST_NAME):
        raise ValueError(rule)
    return url.rstrip("/")


def _distinct(urls: tuple[str, ...]) -> tuple[str, ...]:
    if not urls:
        raise ValueError("must not be empty")
    if len(set(urls)) != len(urls):
        raise ValueError("must not list an address twice")
    return urls


def _served_name(name: str) -> str:
    if not name.strip() or name != name.strip():
        raise ValueError("must be the model's name there, without spaces around it")
    return name


def _key(key: str) -> str:
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError("must be a key without spaces; write ${env:NAME} and set that variable")
    return key


Url = Annotated[str, AfterValidator(_url), Field(json_schema_extra={"pattern": "^(https?|dns)://"})]
Urls = Annotated[tuple[Url, ...], Field(strict=False, json_schema_extra={"minItems": 1}), AfterValidator(_distinct)]
WorkerKey = Annotated[
    str, AfterValidator(_key), Field(json_schema_extra={"pattern": r"^\$\{env:[A-Za-z_][A-Za-z0-9_]*\}$"})
]
ServedName = Annotated[str, AfterValidator(_served_name), Field(max_length=512)]


class ExternalSpec(Strict):
    """How workers that somebody else runs are spoken to, and how often their addresses are looked up."""

    key: WorkerKey | None = Field(default=None, repr=False)
    """The bearer key that the workers ask for: ${env:NAME}, and nothing else."""
    served_name: ServedName | None = None
    """What the workers call the model. Left out: as here, or the only name that a worker lists."""
    resolve_every: Duration = 30.0
    """Time between two looks at what a dns:// address stands for."""
