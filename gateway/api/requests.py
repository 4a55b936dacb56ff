"""`/admin/requests/{id}`: why a request went where it went, and where its time went."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from fastapi import APIRouter

from gateway.errors import RequestNotFound
from gateway.explaining import explain
from gateway.passages import REMEMBERED, Ambiguous, Passages

_ID: Final = re.compile(r"[\x21-\x7e]{1,128}")
"""What `middleware.request_id` takes and makes."""
_UNKNOWN: Final = (
    f"No request whose id is, or begins with, '{{name}}' is known here. It was never sent to a model, it is older than "
    f"the last {REMEMBERED} requests, or another gateway process had it: each remembers its own, and its log keeps "
    "every request's line."
)


def requests(passages: Passages, clock: Callable[[], float], wall_clock: Callable[[], float]) -> APIRouter:
    """The route over `passages`; `middleware.auth` has already asked for the admin key. People read `wall_clock`."""
    router = APIRouter(prefix="/admin", tags=["admin"])

    # An id may hold a slash.
    @router.get("/requests/{name:path}", summary="One recent request: target, workers, times, and who ended it")
    async def request(name: str) -> dict[str, Any]:
        if not _ID.fullmatch(name):
            raise RequestNotFound("That is no request id: one has 1 to 128 visible ASCII characters.")
        try:
            found = passages.find(name)
        except Ambiguous as several:
            newest = ", ".join(several.ids)
            raise RequestNotFound(f"{several.count} requests begin with '{name}'; the newest: {newest}") from None
        if found is None:
            raise RequestNotFound(_UNKNOWN.format(name=name))
        return explain(found[0], clock(), wall_clock(), found[1])

    return router
