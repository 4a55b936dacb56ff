"""How many requests may be on their second worker at once. Pure."""

from __future__ import annotations

from typing import Final

LEAST: Final = 3
SHARE: Final = 0.2


def budget(active: int) -> int:
    """Retries that a pool with `active` open requests may have under way: a fifth of them, and never less than 3.

    A pool that fails as a whole is not helped by twice the load.
    """
    return max(LEAST, int(active * SHARE))
