"""A gateway process's settings, loaded once into frozen values by `__main__`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

API_KEYS: Final = "ENGINEHOUSE_API_KEY"
ADMIN_KEYS: Final = "ENGINEHOUSE_ADMIN_KEY"
ALLOWED_HOSTS: Final = "ENGINEHOUSE_ALLOWED_HOSTS"


@dataclass(frozen=True, slots=True)
class Settings:
    """What one gateway process runs with."""

    api_keys: tuple[bytes, ...] = field(default=(), repr=False)
    """Keys that may use the models; empty: only callers on this machine may."""
    admin_keys: tuple[bytes, ...] = field(default=(), repr=False)
    """Keys that may administer (and use the models); empty: only callers on this machine may administer."""
    allowed_hosts: tuple[bytes, ...] = ()
    """Names, lower case and without port, that a request's Host header may have besides those of this machine."""
    max_body: int = 4 * 1024 * 1024
    """Bytes of a request's body, at most."""
    drain: float = 30.0
    """Seconds that open requests have to end once the gateway is asked to stop."""
    uploads: Path | None = None
    """Where uploads lie until the supervisor has taken them; None: there are none."""
    max_upload: int = 4 * 1024**3
    """Bytes of one upload, at most."""

    @classmethod
    def of(cls, env: Mapping[str, str], *, drain: float = 30.0, uploads: Path | None = None) -> Settings:
        """From environment variables; keys and hosts are comma-separated lists."""
        return cls(
            api_keys=_listed(env.get(API_KEYS, "")),
            admin_keys=_listed(env.get(ADMIN_KEYS, "")),
            allowed_hosts=_listed(env.get(ALLOWED_HOSTS, "").lower()),
            drain=drain,
            uploads=uploads,
        )


def _listed(text: str) -> tuple[bytes, ...]:
    return tuple(word.strip().encode() for word in text.split(",") if word.strip())
