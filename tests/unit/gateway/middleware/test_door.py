"""What is raised becomes one envelope, once; a response that has begun is never followed by another; all is settled."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import ClientGone, InvalidApiKey, ModelNotFound, NoWorker
from gateway.middleware.access_log import AccessLog
from gateway.middleware.door import AsgiDoor, Door
from gateway.middleware.request_id import RequestIds
from gateway.passages import Passages
from gateway.telemetry import Telemetry
from tests.unit.gateway.builders import Clock, Outbox, nothing, raising, scope


def door(app, checks=(), lines=None):
    log = AccessLog(Telemetry(), Clock(), [].append if lines is None else lines.append)
    return AsgiDoor(app, Door(RequestIds(Clock()), checks, log, Passages()))


async def ask(app, **rest):
    request, outbox = scope(), Outbox()
    await door(app, **rest)(request, None, outbox)
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


@pytest.mark.parametrize("error", [NoWorker("late"), KeyError("late"), asyncio.CancelledError()])
async def test_a_response_that_has_begun_is_not_followed_by_another(error):
    """The server ends what is left of it; the log and the metrics must not count it as a good one."""
    exchange, outbox = await ask(raising(error, begun=True))
    assert ([message["type"] for message in outbox.messages], bool(exchange.code)) == (["http.response.start"], True)


async def test_nobody_is_answered_who_is_not_there():
    exchange, outbox = await ask(raising(ClientGone("gone")))
    assert (outbox.messages, exchange.status, exchange.code) == ([], 499, "client_gone")


async def test_who_is_cut_off_by_the_drain_is_told():
    """Where nothing has been sent."""
    exchange, outbox = await ask(raising(asyncio.CancelledError()))
    assert (outbox.status, outbox.error["code"], outbox.ended) == (503, "shutting_down", True)
    assert (exchange.status, exchange.code) == (503, "shutting_down")


@pytest.mark.parametrize("app", [nothing, raising(KeyError("bug")), raising(ClientGone("x")), raising(NoWorker("x"))])
async def test_every_end_is_settled_once(app):
    lines = []
    await ask(app, lines=lines)
    assert len(lines) == 1


async def test_who_may_not_come_in_does_not_reach_the_application():
    def check(_scope):
        raise InvalidApiKey("no")

    reached = []
    _, outbox = await ask(reached.append, checks=[check])
    assert (outbox.status, reached) == (401, [])


async def test_the_answer_shows_the_requests_id():
    exchange, outbox = await ask(nothing)
    assert outbox.headers[b"x-request-id"] == exchange.request_id.encode()


async def test_what_is_no_request_passes():
    """The lifespan has no headers."""
    seen = []

    async def app(request, _receive, _send):
        seen.append(request)

    await door(app)({"type": "lifespan"}, None, None)
    assert seen == [{"type": "lifespan"}]
