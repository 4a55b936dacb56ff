"""Questions to a worker: every way in which it can fail to answer becomes a verdict in words."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from engines.engine import HttpCall
from engines.probe import Prober, Verdict

HEALTH = HttpCall("GET", "/health")
Answer = Callable[[httpx.Request], httpx.Response]


def prober(answer: Answer) -> Prober:
    return Prober(httpx.AsyncClient(transport=httpx.MockTransport(answer)))


async def health(answer: Answer, key: str = "") -> Verdict:
    return await prober(answer).health("http://w", key, HEALTH, within=2)


async def test_200_is_good() -> None:
    assert await health(lambda _: httpx.Response(200)) == Verdict(good=True)


async def test_503_is_bad() -> None:
    assert await health(lambda _: httpx.Response(503)) == Verdict(good=False, reason="/health answered 503")


async def test_a_status_of_the_dead_is_told_from_a_bad_one() -> None:
    """Which statuses these are is the engine's knowledge."""
    asked = prober(lambda _: httpx.Response(503))
    verdict = await asked.health("http://w", "", HEALTH, within=2, dead=frozenset({503}))
    assert verdict == Verdict(good=False, reason="/health answered 503", dead=True)


async def test_200_of_one_that_sleeps_is_bad() -> None:
    """LMDeploy says it in the body; what it said is the reason."""
    asked = prober(lambda _: httpx.Response(200, text="sleeping"))
    verdict = await asked.health("http://w", "", HEALTH, within=2, awake=lambda body: body != b"sleeping")
    assert verdict == Verdict(good=False, reason="/health answered 200, but: sleeping")


async def test_where_nobody_listens_the_worker_is_dead() -> None:
    """The refusal lies below other errors, as httpx raises it."""

    def answer(_: httpx.Request) -> httpx.Response:
        between = OSError("all attempts failed")
        between.__cause__ = ConnectionRefusedError(111)
        raise httpx.ConnectError("no") from between

    assert await health(answer) == Verdict(good=False, reason="connection refused", dead=True)


async def test_without_a_health_path_the_models_are_asked() -> None:
    """A worker that somebody else runs may be any OpenAI-compatible server."""
    assert (await health(lambda request: httpx.Response(404 if request.url.path == "/health" else 200))).good


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (httpx.ConnectError("[Errno 24] Too many open files"), "no connection: [Errno 24] Too many open files"),
        (httpx.ReadTimeout("slow"), "/health did not answer within 2 s"),
        (httpx.RemoteProtocolError("junk"), "/health: RemoteProtocolError: junk"),
    ],
)
async def test_a_foreign_error_becomes_words(fault: Exception, words: str) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        raise fault

    assert await health(answer) == Verdict(good=False, reason=words)


async def test_the_key_is_shown() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200 if request.headers.get("authorization") == "Bearer k" else 401)

    assert (await health(answer, key="k")).good


async def test_metrics_that_are_not_told_are_empty() -> None:
    assert await prober(lambda _: httpx.Response(200, text="a 1")).metrics("http://w", "", within=2) == "a 1"
    assert await prober(lambda _: httpx.Response(404, text="a 1")).metrics("http://w", "", within=2) == ""


@pytest.mark.parametrize(
    ("body", "expected"),
    [(b'{"data":[{"id":"a"},{"id":"b"}]}', ("a", "b")), (b"<html>", ()), (b"[]", ()), (b'{"data":[{}]}', ())],
)
async def test_names_are_what_the_worker_lists(body: bytes, expected: tuple[str, ...]) -> None:
    listed = await prober(lambda _: httpx.Response(200, content=body)).listed("http://w", "", within=2)
    assert listed.names == expected


async def test_the_context_is_what_the_worker_lists() -> None:
    """The smallest, where a worker lists several names; adapters list none."""
    body = b'{"data":[{"id":"a","max_model_len":2048},{"id":"b","max_model_len":null}]}'
    listed = await prober(lambda _: httpx.Response(200, content=body)).listed("http://w", "", within=2)
    assert listed.context == 2048


@pytest.mark.parametrize("body", ["", "[]", '{"choices": []}', '{"choices": [{}]}', '{"error": "x"}', "\x00garbage"])
async def test_200_without_a_token_is_bad(body: str) -> None:
    """The engine's server answers; that is not yet a model."""
    call = HttpCall("POST", "/v1/completions", b"{}")
    verdict = await prober(lambda _: httpx.Response(200, text=body)).warm_up("http://w", "", call, within=2)
    assert (verdict.good, verdict.reason.startswith("/v1/completions answered 200 and no token")) == (False, True)


async def test_one_token_of_any_text_is_good() -> None:
    """It may be half a character, which is empty text."""
    call = HttpCall("POST", "/v1/completions", b"{}")
    answer = prober(lambda _: httpx.Response(200, json={"choices": [{"text": ""}]}))
    assert (await answer.warm_up("http://w", "", call, within=2)).good
