"""The `Prefer` header (RFC 7240): for how long a client waits for a model that is not loaded."""

from __future__ import annotations

import re
from typing import Final

from gateway.asgi import Scope

_WAIT: Final = re.compile(rb"(?:^|,)\s*wait\s*=\s*\"?([0-9]{1,9})\"?\s*(?:[;,]|$)", re.IGNORECASE)


def wait_of(scope: Scope) -> float | None:
    """Seconds; None: it does not say. A preference that is not understood is passed over, as the RFC has it."""
    given = b",".join(value for name, value in scope["headers"] if name == b"prefer")
    found = _WAIT.search(given) if given else None
    return float(found[1]) if found else None
