"""What a list of models says."""

from __future__ import annotations

import pytest

from loadtests.users.models import listed


def test_the_names_are_listed_in_their_order():
    assert listed(b'{"data": [{"id": "b"}, {"id": "a"}]}') == ["b", "a"]


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"data": 7}', b'{"data": [{}]}', b'{"data": ["a"]}'])
def test_what_is_no_list_is_none(body: bytes):
    assert listed(body) is None
