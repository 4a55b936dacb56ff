"""Whether this machine may fetch at all. Pure. Called by `fetch` and `remote`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_SWITCHES: Final = ("ENGINEHOUSE_OFFLINE", "HF_HUB_OFFLINE")
_ON: Final = frozenset({"1", "true", "yes", "on"})


def offline(environ: Mapping[str, str]) -> str:
    """The variable that forbids fetching; empty where none does."""
    return next((name for name in _SWITCHES if environ.get(name, "").lower() in _ON), "")


def still(text: str, switch: str) -> str:
    """Why nothing is fetched, and what to do."""
    return (
        f"{text} is not in the cache, and ${switch} is set: unset it, or run `enginehouse pull` where there is a "
        "network and bring the cache here"
    )
