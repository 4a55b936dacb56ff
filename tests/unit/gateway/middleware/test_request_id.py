"""Every request has an id, every answer shows it, and nobody forges a header with one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.middleware.request_id import RequestId
from tests.unit.gateway.builders import Clock, JumpingLoop, Outbox, nothing, scope


async def ask(*ids, app=nothing):
    request = scope(headers=[(b"x-request-id", each) for each in ids])
    outbox = Outbox()
    await RequestId(app, Clock())(request, None, outbox)
    return request["exchange"], outbox.headers[b"x-request-id"]


async def test_a_sane_id_is_echoed():
    exchange, shown = await ask(b"trace-1:a/b.c")
    assert (exchange.request_id, shown) == ("trace-1:a/b.c", b"trace-1:a/b.c")


@pytest.mark.parametrize("given_id", [b"", b"a b", b"a\r\nx: y", b"a\x00", b"a\x7f", b"\xc3\xa9", b"a" * 129, b"a\n"])
async def test_an_id_that_is_not_sane_is_replaced(given_id):
    exchange, shown = await ask(given_id)
    assert (exchange.request_id.startswith("req_"), shown.decode()) == (True, exchange.request_id)


async def test_two_requests_without_an_id_get_two():
    assert (await ask())[1] != (await ask())[1]


@given(st.binary(max_size=200))
def test_whatever_is_sent_the_answers_header_is_one_line(given_id):
    loop = JumpingLoop()
    _, shown = loop.run_until_complete(ask(given_id))
    loop.close()
    assert shown.isascii()
    assert shown.decode().isprintable()
    assert 0 < len(shown) <= 128


async def test_the_exchange_knows_the_request_and_its_status():
    exchange, _ = await ask()
    assert (exchange.method, exchange.path, exchange.client, exchange.status, exchange.started) == (
        "POST",
        "/v1/chat/completions",
        "127.0.0.1",
        204,
        100.0,
    )


async def test_what_is_no_request_passes():
    """The lifespan has no headers."""
    seen = []

    async def app(request, _receive, _send):
        seen.append(request)

    await RequestId(app, Clock())({"type": "lifespan"}, None, None)
    assert seen == [{"type": "lifespan"}]
