"""A gateway process's settings, loaded once into frozen values by `__main__`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

API_KEYS: Final = "ENGINEHOUSE_API_KEY"
ADMIN_KEYS: Final = "ENGINEHOUSE_ADMIN_KEY"


@dataclass(frozen=True, slots=True)
class Settings:
    """What one gateway process runs with."""

    api_keys: tuple[bytes, ...] = field(default=(), repr=False)
    """Keys that may use the models; empty: only callers on this machine may."""
    admin_keys: tuple[bytes, ...] = field(default=(), repr=False)
    """Keys that may administer (and use the models); empty: only callers on this machine may administer."""
    max_body: int = 4 * 1024 * 1024
    """Bytes of a request's body, at most."""
    drain: float = 30.0
    """Seconds that open requests have to end once the gateway is asked to stop."""

    @classmethod
    def of(cls, env: Mapping[str, str], *, drain: float = 30.0) -> Settings:
        """From environment variables; keys are comma-separated lists."""
        return cls(api_keys=_keys(env.get(API_KEYS, "")), admin_keys=_keys(env.get(ADMIN_KEYS, "")), drain=drain)


def _keys(listed: str) -> tuple[bytes, ...]:
    return tuple(key.strip().encode() for key in listed.split(",") if key.strip())
