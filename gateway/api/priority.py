"""The `x-priority` header: which class of the queue a request waits in."""

from __future__ import annotations

from typing import Final

from gateway.asgi import Scope, headers_of
from gateway.errors import InvalidRequest
from gateway.pool.queue import Priority

_CLASSES: Final = {priority.name.lower().encode(): priority for priority in Priority}


def priority_of(scope: Scope) -> Priority:
    """`high`, `normal` (also without the header) or `low`. Raises `InvalidRequest` for anything else."""
    given = headers_of(scope).get(b"x-priority")
    if given is None:
        return Priority.NORMAL
    priority = _CLASSES.get(given.strip().lower())
    if priority is None:
        raise InvalidRequest("The x-priority header must be high, normal or low.", param="x-priority")
    return priority
