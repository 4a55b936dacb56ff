"""Every exchange is settled once, however it ends; a line cannot be forged."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from gateway.errors import ClientGone
from gateway.middleware.access_log import AccessLog
from gateway.reading import Usage
from gateway.telemetry import Telemetry
from tests.unit.gateway.builders import Clock, exchange, nothing, raising, scope


def ask(app, record):
    lines, telemetry = [], Telemetry()

    async def run():
        async def send(_message):
            pass

        with contextlib.suppress(asyncio.CancelledError, KeyError):
            await AccessLog(app, telemetry, Clock(101.5), lines.append)(scope(exchange=record), None, send)

    asyncio.run(run())
    samples = [each for family in telemetry.families() for each in family.samples]
    counted = [each.labels["code"] for each in samples if each.name == "enginehouse_requests_total"]
    return lines, counted


@pytest.mark.parametrize(
    ("app", "status", "code"),
    [
        (nothing, 200, ""),
        (raising(KeyError("bug")), 200, ""),
        (raising(ClientGone("gone")), 499, "client_gone"),
        (raising(asyncio.CancelledError()), 200, "shutting_down"),
    ],
)
def test_every_end_is_settled_once(app, status, code):
    record = exchange(operation="chat", status=200)
    lines, counted = ask(app, record)
    assert (len(lines), counted, record.code) == (1, [str(status)], code)


def test_what_the_drain_ends_before_it_began_is_a_503():
    assert ask(raising(asyncio.CancelledError()), exchange(operation="chat"))[1] == ["503"]


def test_a_line_says_what_happened():
    record = exchange(operation="chat", status=200, model="m", worker="w1", attempts=2, first_token=100.25)
    record.usage = Usage(prompt_tokens=3, completion_tokens=2)
    (line,), _ = ask(nothing, record)
    assert line == (
        "POST /v1/chat/completions 200 ms=1500.0 id=req_1 client=127.0.0.1"
        " model=m worker=w1 attempts=2 ttft_ms=250.0 tokens=3+2"
    )


@pytest.mark.parametrize("path", ["/a\n200 POST /b", "/a\x1b[2J", "/é\u2028", "/\ud800", "/a 200 ms=1.0 id=forged"])
def test_a_path_cannot_forge_a_line_or_a_field(path):
    """The path is the client's text."""
    line = ask(nothing, exchange(path=path))[0][0]
    assert line.isascii()
    assert line.isprintable()
    assert [word.partition("=")[0] for word in line.split(" ")][2:] == ["0", "ms", "id", "client"]


def test_a_long_path_is_cut():
    assert len(ask(nothing, exchange(path="/" + "a" * 100_000))[0][0]) < 400


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/health", "/metrics"])
def test_probes_make_no_lines(path):
    assert ask(nothing, exchange(path=path))[0] == []
