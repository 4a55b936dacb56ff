"""Why an administrator's order was not carried out, as an answer. The one place where errors become statuses."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Final

from engines.store.failures import (
    AdapterRefused,
    AliasMoved,
    StoreAway,
    StoreBusy,
    StoreDamaged,
    StoreFailed,
    StoreFull,
    StoreRefused,
)
from engines.weights.failures import HostRefused, WeightsFailed
from registry.adapter_orders import AdapterRefusal


class Declined(Exception):
    """Nothing was changed; `answer` says why."""

    def __init__(self, status: int, code: str, message: str, faults: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.answer: Final = AdapterRefusal(status, code, message, faults=faults or {})


_STATUSES: Final[tuple[tuple[type[Exception], int, str], ...]] = (
    (AliasMoved, 409, "adapter_moved"),
    (StoreRefused, 404, "adapter_not_found"),
    (StoreFull, 507, "disk_full"),
    (StoreAway, 503, "store_unreachable"),
    (StoreBusy, 503, "store_busy"),
    (StoreDamaged, 503, "store_damaged"),
    (StoreFailed, 503, "store_failed"),
    (HostRefused, 403, "source_inside"),
    (WeightsFailed, 502, "fetch_failed"),
    (OSError, 500, "internal_error"),
)
"""The first that fits; an `OSError` is one of our own files."""
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})

FAILURES: Final = (Declined, StoreFailed, WeightsFailed, OSError)
"""All that `refusal` knows."""


def refusal(failed: Exception) -> AdapterRefusal:
    """The answer for one of `FAILURES`, or for a bug of ours."""
    if isinstance(failed, Declined):
        return failed.answer
    if isinstance(failed, AdapterRefused):
        reasons = tuple(dict.fromkeys(str(finding.reason) for finding in failed.findings))
        return AdapterRefusal(422, "adapter_refused", str(failed), reasons)
    if isinstance(failed, OSError) and failed.errno in _FULL:
        return AdapterRefusal(507, "disk_full", str(failed))
    for kind, status, code in _STATUSES:
        if isinstance(failed, kind):
            return AdapterRefusal(status, code, str(failed))
    return AdapterRefusal(500, "internal_error", f"a bug of ours: {failed!r}")
