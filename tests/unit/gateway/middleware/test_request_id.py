"""Every request has an id, every answer shows it, and nobody forges a header with one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.middleware.request_id import RequestIds
from tests.unit.gateway.builders import Clock, scope

IDS = RequestIds(Clock())


def ask(*ids):
    return IDS.exchange(scope(headers=[(b"x-request-id", each) for each in ids]))


def test_a_sane_id_is_echoed():
    assert ask(b"trace-1:a/b.c").request_id == "trace-1:a/b.c"


@pytest.mark.parametrize("given_id", [b"", b"a b", b"a\r\nx: y", b"a\x00", b"a\x7f", b"\xc3\xa9", b"a" * 129, b"a\n"])
def test_an_id_that_is_not_sane_is_replaced(given_id):
    assert ask(given_id).request_id.startswith("req_")


def test_two_requests_without_an_id_get_two():
    assert ask().request_id != ask().request_id


@given(st.binary(max_size=200))
def test_whatever_is_sent_the_answers_header_is_one_line(given_id):
    shown = ask(given_id).request_id
    assert shown.isascii()
    assert shown.isprintable()
    assert 0 < len(shown) <= 128


def test_the_exchange_knows_the_request():
    exchange = ask()
    assert (exchange.method, exchange.path, exchange.client, exchange.status, exchange.started) == (
        "POST",
        "/v1/chat/completions",
        "127.0.0.1",
        0,
        100.0,
    )
