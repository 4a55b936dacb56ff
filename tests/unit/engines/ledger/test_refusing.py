"""Errors as answers: whose fault it is decides the status."""

from __future__ import annotations

import errno

import pytest

from engines.ledger.refusing import refusal
from engines.store.failures import AliasMoved, StoreAway


@pytest.mark.parametrize(
    ("failed", "status", "code"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "store.sqlite"), 507, "disk_full"),
        (PermissionError(errno.EACCES, "Permission denied", "store.sqlite"), 500, "internal_error"),
        (AliasMoved("moved"), 409, "adapter_moved"),
        (StoreAway("away"), 503, "store_unreachable"),
        (KeyError("x"), 500, "internal_error"),
    ],
)
def test_only_what_the_client_did_is_the_clients_fault(failed: Exception, status: int, code: str) -> None:
    """Our disk and our bugs are not, and are said."""
    answer = refusal(failed)
    assert (answer.status, answer.code, str(failed) in answer.message) == (status, code, True)
