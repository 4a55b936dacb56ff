"""Which revision of an adapter a request gets while several stand behind its name. Pure; asked by `gateway.trials`.

Weighted rendezvous hashing: each user has the revisions race, heavier ones win more often, and a change of the weights
moves only as many users as it must (Schindelhauer and Schomaker, 2005).
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from math import log
from typing import Final

from registry.adapters import Share

_RANGE: Final = float(1 << 64)


def chosen(shares: Sequence[Share], key: bytes) -> str:
    """The digest for everything that bears this key; empty where no share has a weight."""
    running = [share for share in shares if share.weight > 0]
    return max(running, key=lambda share: _score(share, key)).digest if running else ""


def _score(share: Share, key: bytes) -> float:
    drawn = int.from_bytes(blake2b(key + b"\0" + share.digest.encode(), digest_size=8).digest(), "big")
    return -share.weight / log((drawn + 0.5) / _RANGE)
