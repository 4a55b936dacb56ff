"""The field `store`: where several hosts have their adapters in common. Pure. Part of `spec`."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from registry import sources
from registry.strict import Strict

_URL: Final = re.compile(
    r"rediss?://([^@/?#\s]*@)?([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[0-9]{1,4})?|unix:///\S+"
)
_PASSWORD: Final = re.compile(r"[a-z]+://[^@/]*:[^@/]*@|[?&]password=")
_LARGEST_PORT: Final = 65535


def _redis(url: str) -> str:
    match = _URL.fullmatch(url)
    if not match or int((match[3] or ":0")[1:]) > _LARGEST_PORT:
        raise ValueError("must look like redis://host:6379/0, rediss://user:password@host:6379/0 or unix:///path")
    return url


def _files(path: str) -> str:
    if not path or path.startswith("~") or not sources.is_path(path):
        raise ValueError("must be the path of a folder that all hosts see (write ${env:HOME}/… for '~')")
    return path


def is_secret(url: str) -> bool:
    """Whether it holds a password."""
    return bool(_PASSWORD.search(url))


RedisUrl = Annotated[str, AfterValidator(_redis)]
SharedFolder = Annotated[str, AfterValidator(_files)]


class StoreSpec(Strict):
    """Where several hosts have their adapters in common: what is added on one is served on all. Left out: this host
    keeps its own. A change needs a restart of `enginehouse serve`.
    """

    redis: RedisUrl = Field(repr=False)
    """Which Redis has what names stand for: redis://host:port/database, rediss:// with TLS, unix:///path. With a
    password: ${env:NAME}."""
    files: SharedFolder
    """The folder (relative to this file) that all hosts see, for the adapters' files. It is not made."""
