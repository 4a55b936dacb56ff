"""The `Prefer` header."""

from __future__ import annotations

import pytest

from gateway.api.preference import wait_of
from tests.unit.gateway.builders import scope


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], None),
        ([b"wait=0"], 0.0),
        ([b"respond-async, Wait=10"], 10.0),
        ([b'wait="7"; x=y'], 7.0),
        ([b"handling=lenient", b"wait = 3"], 3.0),
        ([b"wait=soon"], None),
        ([b"await=5"], None),
        ([b"wait=-1"], None),
        ([b"\xff"], None),
    ],
)
def test_seconds_are_found_among_other_preferences(values, expected):
    """RFC 7240: what is not understood is passed over."""
    assert wait_of(scope(headers=[(b"prefer", value) for value in values])) == expected
