"""Whatever is raised becomes one envelope, once; a response that has begun is never followed by another."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import ClientGone, InvalidApiKey, ModelNotFound, NoWorker
from gateway.middleware.render import Render
from gateway.middleware.request_id import RequestId
from tests.unit.gateway.builders import Clock, Outbox, nothing, raising, scope


async def ask(app, outbox=None):
    request, outbox = scope(), outbox or Outbox()
    await RequestId(Render(app), Clock())(request, None, outbox)
    return request["exchange"], outbox


async def test_what_goes_well_is_left_alone():
    exchange, outbox = await ask(nothing)
    assert (outbox.status, outbox.body, exchange.code) == (204, b"", "")


async def test_a_gateway_error_is_answered_as_it_says():
    exchange, outbox = await ask(raising(ModelNotFound("no such model", param="model")))
    assert (outbox.status, outbox.ended, exchange.code) == (404, True, "model_not_found")
    assert outbox.error == {
        "message": "no such model",
        "type": "invalid_request_error",
        "param": "model",
        "code": "model_not_found",
    }
    assert outbox.headers[b"content-length"] == b"%d" % len(outbox.body)
    assert outbox.headers[b"content-type"] == b"application/json"


@pytest.mark.parametrize(
    ("error", "name", "value"),
    [(NoWorker("x", retry_after=2.0), b"retry-after", b"2"), (InvalidApiKey("x"), b"www-authenticate", b"Bearer")],
)
async def test_an_errors_own_headers_are_sent(error, name, value):
    assert (await ask(raising(error)))[1].headers[name] == value


async def test_a_bug_is_a_500_that_tells_nothing(caplog):
    """The client gets the request's id; the log gets the bug."""
    exchange, outbox = await ask(raising(KeyError("/secret/path sk-canary")))
    assert (outbox.status, outbox.error["type"]) == (500, "server_error")
    assert b"canary" not in outbox.body
    assert b"KeyError" not in outbox.body
    assert exchange.request_id in caplog.text


@pytest.mark.parametrize("error", [NoWorker("late"), KeyError("late")])
async def test_a_response_that_has_begun_is_not_followed_by_another(error):
    outbox = Outbox()
    with pytest.raises(type(error)):
        await ask(raising(error, begun=True), outbox)
    assert [message["type"] for message in outbox.messages] == ["http.response.start"]


@pytest.mark.parametrize("error", [NoWorker("late"), KeyError("late")])
async def test_a_failure_after_the_beginning_is_noted(error):
    """Else the log and the metrics count a broken answer as a good one."""
    request = scope()
    with pytest.raises(type(error)):
        await RequestId(Render(raising(error, begun=True)), Clock())(request, None, Outbox())
    assert request["exchange"].code


async def test_nobody_is_answered_who_is_not_there():
    outbox = Outbox()
    with pytest.raises(ClientGone):
        await ask(raising(ClientGone("gone")), outbox)
    assert outbox.messages == []


async def test_who_is_cut_off_by_the_drain_is_told():
    """Where nothing has been sent; and the cancellation goes on."""
    outbox = Outbox()
    with pytest.raises(asyncio.CancelledError):
        await ask(raising(asyncio.CancelledError()), outbox)
    assert (outbox.status, outbox.error["code"], outbox.ended) == (503, "shutting_down", True)


async def test_a_begun_response_that_is_cut_off_gets_no_second_one():
    outbox = Outbox()
    with pytest.raises(asyncio.CancelledError):
        await ask(raising(asyncio.CancelledError(), begun=True), outbox)
    assert len(outbox.messages) == 1
