"""Every exchange is settled once, however it ends; a line cannot be forged."""

from __future__ import annotations

import pytest

from gateway.middleware.access_log import AccessLog
from gateway.reading import Usage
from gateway.telemetry import Telemetry
from tests.unit.gateway.builders import Clock, exchange


def ask(record):
    lines, telemetry = [], Telemetry()
    AccessLog(telemetry, Clock(101.5), lines.append).settle(record)
    samples = [each for family in telemetry.families() for each in family.samples]
    counted = [each.labels["code"] for each in samples if each.name == "enginehouse_requests_total"]
    return list(map(str, lines)), counted


def test_what_is_settled_is_counted_and_has_its_line():
    lines, counted = ask(exchange(operation="chat", status=200))
    assert (len(lines), counted) == (1, ["200"])


def test_a_line_says_what_happened():
    record = exchange(operation="chat", status=200, model="m", worker="w1", attempts=2, first_token=100.25)
    record.usage = Usage(prompt_tokens=3, completion_tokens=2)
    (line,), _ = ask(record)
    assert line == (
        "POST /v1/chat/completions 200 ms=1500.0 id=req_1 client=127.0.0.1"
        " model=m worker=w1 attempts=2 ttft_ms=250.0 tokens=3+2"
    )


@pytest.mark.parametrize("path", ["/a\n200 POST /b", "/a\x1b[2J", "/é\u2028", "/\ud800", "/a 200 ms=1.0 id=forged"])
def test_a_path_cannot_forge_a_line_or_a_field(path):
    """The path is the client's text."""
    line = ask(exchange(path=path))[0][0]
    assert line.isascii()
    assert line.isprintable()
    assert [word.partition("=")[0] for word in line.split(" ")][2:] == ["0", "ms", "id", "client"]


def test_a_long_path_is_cut():
    assert len(ask(exchange(path="/" + "a" * 100_000))[0][0]) < 400


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/health", "/metrics"])
def test_probes_make_no_lines(path):
    assert ask(exchange(path=path))[0] == []
