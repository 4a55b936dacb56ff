"""The `x-priority` header."""

from __future__ import annotations

import pytest

from gateway.api.priority import priority_of
from gateway.errors import InvalidRequest
from gateway.pool.queue import Priority
from tests.unit.gateway.builders import scope


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], Priority.NORMAL),
        ([(b"x-priority", b"high")], Priority.HIGH),
        ([(b"x-priority", b" Low ")], Priority.LOW),
        ([(b"x-priority", b"normal")], Priority.NORMAL),
    ],
)
def test_a_class_is_known_by_its_name(headers, expected):
    assert priority_of(scope(headers=headers)) is expected


@pytest.mark.parametrize("value", [b"", b"0", b"highest", b"\xff", b"high, low"])
def test_anything_else_is_refused(value):
    with pytest.raises(InvalidRequest) as caught:
        priority_of(scope(headers=[(b"x-priority", value)]))
    assert caught.value.param == "x-priority"
