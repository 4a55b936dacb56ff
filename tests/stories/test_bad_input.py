"""Requests that cannot be right, and the exact answer to each: always the envelope, never a 500, never the worker.

One table per place where a request can be wrong (its route, its head, its body), plus what only the engine can judge.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.faults.client import End, Transcript, ask, calling, get, head, post
from tests.processes import READY, FakeWorker, Gateway

CHAT = "/v1/chat/completions"
ASK = {"model": "small", "messages": [{"role": "user", "content": "hi"}]}
INVALID = "invalid_request_error"


@dataclass(frozen=True)
class Refusal:
    """The expected answer; `says` is a part of its message."""

    status: int
    says: str
    type: str = INVALID
    param: str | None = None
    code: str | None = None
    headers: dict[str, str] = field(default_factory=dict)


def assert_refused(heard: Transcript, expected: Refusal) -> None:
    """Status, envelope and request id, exactly."""
    error = heard.json()["error"]
    message = error.pop("message")
    assert (heard.status, heard.end) == (expected.status, End.COMPLETE)
    assert error == {"type": expected.type, "param": expected.param, "code": expected.code}
    assert expected.says in message
    assert heard.headers["content-type"] == "application/json"
    assert heard.headers["x-request-id"]
    assert expected.headers.items() <= heard.headers.items()


def nested(depth: int) -> bytes:
    return b'{"model":"small","messages":' + b"[" * depth + b"]" * depth + b"}"


def body(**changes: Any) -> bytes:
    return json.dumps(ASK | changes).encode()


NOT_JSON = "is not valid JSON"
UNNAMED = Refusal(400, "'model' parameter is missing or empty", param="model")
NOT_FOUND = Refusal(404, "Available: small, default", param="model", code="model_not_found")
BODIES: dict[str, tuple[bytes, Refusal]] = {
    "unknown model": (body(model="gpt-9"), NOT_FOUND),
    "huge model name": (body(model="x" * 100_000), NOT_FOUND),
    "model name with control characters": (body(model="small\n\0"), NOT_FOUND),
    "missing model": (b'{"messages":[]}', UNNAMED),
    "empty model": (body(model=""), UNNAMED),
    "null model": (body(model=None), UNNAMED),
    "model is a number": (body(model=5), Refusal(400, "Wrong type for 'model'", param="model")),
    "stream is a text": (body(stream="yes"), Refusal(400, "Wrong type for 'stream'", param="stream")),
    "stream_options is a list": (
        body(stream=True, stream_options=[]),
        Refusal(400, "Wrong type for 'stream_options'", param="stream_options"),
    ),
    "empty": (b"", Refusal(400, NOT_JSON)),
    "not JSON": (b"hello", Refusal(400, NOT_JSON)),
    "truncated": (body()[:-5], Refusal(400, NOT_JSON)),
    "two objects": (body() + body(), Refusal(400, NOT_JSON)),
    "a list": (b"[]", Refusal(400, "must be a JSON object")),
    "a text": (b'"x"', Refusal(400, "must be a JSON object")),
    "null": (b"null", Refusal(400, "must be a JSON object")),
    "a NUL byte": (b'{"model":"small\0"}', Refusal(400, NOT_JSON)),
    "only NUL bytes": (b"\0" * 100, Refusal(400, NOT_JSON)),
    "invalid UTF-8": (body()[:-2] + b'"\xff\xfe"]}', Refusal(400, "is not valid UTF-8")),
    "invalid UTF-8 in a field that passes through": (
        b'{"model":"small","user":"\xc3\x28"}',
        Refusal(400, "is not valid UTF-8"),
    ),
    "a byte order mark": (b"\xef\xbb\xbf" + body(), Refusal(400, NOT_JSON)),
    "UTF-16": (body().decode().encode("utf-16"), Refusal(400, "is not valid UTF-8")),
    "NaN": (b'{"model":"small","temperature":NaN}', Refusal(400, NOT_JSON)),
    "nested 64 deep in a field": (nested(64), Refusal(400, "nested too deeply")),
    "a field twice": (body()[:-1] + b',"messages":[]}', Refusal(400, "'messages' twice", param="messages")),
    "4,097 messages": (
        body(messages=ASK["messages"] * 4097),
        Refusal(400, "at most 4096 items", param="messages"),
    ),
    "nine choices": (body(n=9), Refusal(400, "between 0 and 8", param="n")),
    "best of a million": (body(best_of=10**6), Refusal(400, "between 0 and 8", param="best_of")),
    "all logprobs": (body(logprobs=True, top_logprobs=-1), Refusal(400, "between 0 and 20", param="top_logprobs")),
    "65 prompts": (body(prompt=["x"] * 65), Refusal(400, "at most 64 items", param="prompt")),
    "17 stops": (body(stop=["x"] * 17), Refusal(400, "at most 16 items", param="stop")),
    "129 tools": (body(tools=[{}] * 129), Refusal(400, "at most 128 items", param="tools")),
    "a schema of a megabyte": (
        body(structured_outputs={"json": {"x": "y" * 2**20}}),
        Refusal(400, "at most 65536 bytes", param="structured_outputs.json"),
    ),
    "a long regular expression": (
        body(structured_outputs={"regex": "(a|b)*" * 200}),
        Refusal(400, "at most 1024 bytes", param="structured_outputs.regex"),
    ),
    "2^53 + 1": (body(seed=2**53 + 1), Refusal(400, "beyond ±9007199254740992", param="seed")),
    "infinite by its exponent": (
        b'{"model":"small","temperature":1e999}',
        Refusal(400, "beyond ±9007199254740992", param="temperature"),
    ),
    "half a character": (body(user="\ud800"), Refusal(400, "half a character")),
    "a template of its own": (
        body(chat_template="{{ 1 }}"),
        Refusal(400, "the registry does not allow it for the model 'small'", param="chat_template"),
    ),
    "code": (body(custom_logit_processor="x"), Refusal(400, "is code", param="custom_logit_processor")),
    "nested 100,000 deep": (nested(100_000), Refusal(400, "nested too deeply")),
    "an unclosed nest": (b'{"model":"small","messages":' + b"[" * 100_000, Refusal(400, "nested too deeply")),
}


@pytest.mark.parametrize(("sent", "expected"), BODIES.values(), ids=BODIES.keys())
async def test_a_bad_body_is_refused_before_any_worker_hears_of_it(
    gateway: Gateway, worker: FakeWorker, sent: bytes, expected: Refusal
):
    """400 or 404 in the envelope; the same connection then serves a good request."""
    before = worker.counts()["requests"]
    async with calling(gateway.port, post(CHAT, sent)) as conversation:
        assert_refused(await conversation.hear(), expected)
    assert worker.counts()["requests"] == before


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/responses", "/v1/messages", "/tokenize", "/v1/embeddings"])
async def test_every_relayed_path_refuses_alike(gateway: Gateway, path: str):
    """One reader for all paths: the answers are the same."""
    assert_refused(await ask(gateway.port, post(path, b"{")), Refusal(400, NOT_JSON))
    assert_refused(await ask(gateway.port, post(path, {"model": "gpt-9"})), NOT_FOUND)


TOO_LARGE = Refusal(413, "longer than 4194304 bytes", code="request_too_large")
HEADS: dict[str, tuple[bytes, Refusal]] = {
    "GET on a relayed path": (
        get(CHAT),
        Refusal(405, "takes POST, not GET", code="method_not_allowed", headers={"allow": "POST"}),
    ),
    "DELETE on a relayed path": (
        head("DELETE", CHAT, {"host": "localhost"}),
        Refusal(405, "takes POST, not DELETE", code="method_not_allowed", headers={"allow": "POST"}),
    ),
    "POST on a listing": (post("/v1/models", {}), Refusal(405, "does not take POST", code="method_not_allowed")),
    "POST on a health check": (post("/livez", {}), Refusal(405, "does not take POST", code="method_not_allowed")),
    "unknown route": (get("/v1/nothing"), Refusal(404, "Unknown route: GET /v1/nothing", code="not_found")),
    "unknown route, POST": (post("/invocations", ASK), Refusal(404, "Unknown route: POST", code="not_found")),
    "an engine's own route": (post("/update_weights", {}), Refusal(404, "Unknown route", code="not_found")),
    "an order about adapters that says nothing": (
        post("/v1/load_lora_adapter", {}),
        Refusal(400, "The body cannot be understood: Object missing required field `lora_name`."),
    ),
    "a path of this machine": (
        post("/v1/load_lora_adapter", {"lora_name": "m:a", "lora_path": "/etc"}),
        Refusal(403, "No path of this machine", code="permission", type="permission_error"),
    ),
    "a trailing slash": (post(CHAT + "/", ASK), Refusal(404, "Unknown route", code="not_found")),
    "the root": (get("/"), Refusal(404, "Unknown route", code="not_found")),
    "wrong content type": (
        post(CHAT, body(), {"content-type": "text/plain"}),
        Refusal(415, "must be application/json"),
    ),
    "a form": (
        post(CHAT, b"model=small", {"content-type": "application/x-www-form-urlencoded"}),
        Refusal(415, "must be application/json"),
    ),
    "compressed": (post(CHAT, body(), {"content-encoding": "gzip"}), Refusal(415, "Compressed")),
    "20 MB announced": (
        head("POST", CHAT, {"host": "localhost", "content-type": "application/json", "content-length": "20971520"}),
        TOO_LARGE,
    ),
}


@pytest.mark.parametrize(("wire", "expected"), HEADS.values(), ids=HEADS.keys())
async def test_a_bad_head_is_refused(gateway: Gateway, wire: bytes, expected: Refusal):
    """Routes, methods and content types, each in the same envelope as everything else."""
    assert_refused(await ask(gateway.port, wire), expected)


def test_20_mb_are_refused_although_they_are_sent(gateway: Gateway):
    """A client that sends it all before it reads still learns why."""
    with httpx.Client(trust_env=False, timeout=READY) as sender:
        answer = sender.post(f"{gateway.url}{CHAT}", content=body(user="x" * 20_000_000))
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")


def test_20_mb_without_a_length_are_refused(gateway: Gateway):
    """A chunked body is measured while it is read."""
    chunks = (b"x" * 1_000_000 for _ in range(20))
    with httpx.Client(trust_env=False, timeout=READY) as sender:
        answer = sender.post(f"{gateway.url}{CHAT}", content=chunks, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")


NO_HTTP: dict[str, bytes] = {
    "garbage": b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
    "two different lengths": head("POST", CHAT, {"host": "localhost", "content-length": "5", "Content-Length": "6"})
    + b"{}{}{}",
    "length and chunks": head(
        "POST", CHAT, {"host": "localhost", "content-length": "5", "transfer-encoding": "chunked"}
    ),
    "a length that is no number": head("POST", CHAT, {"host": "localhost", "content-length": "abc"}),
    "a negative length": head("POST", CHAT, {"host": "localhost", "content-length": "-1"}),
    "a chunk size that is no number": head("POST", CHAT, {"host": "localhost", "transfer-encoding": "chunked"})
    + b"zz\r\n",
    "a NUL in a header": b"GET /livez HTTP/1.1\r\nhost: x\r\nx-a: a\0b\r\n\r\n",
    "a folded header": b"GET /livez HTTP/1.1\r\nhost: x\r\nx-a: a\r\n b\r\n\r\n",
}


@pytest.mark.parametrize("wire", NO_HTTP.values(), ids=NO_HTTP.keys())
async def test_what_is_no_http_is_answered_400_and_closed(gateway: Gateway, wire: bytes):
    """The parser's refusals have the envelope too; the connection is not used again."""
    heard = await ask(gateway.port, wire)
    assert (heard.status, heard.headers["connection"]) == (400, "close")
    assert heard.json()["error"]["type"] == INVALID


@pytest.mark.parametrize("path", [CHAT, "/v1/models", "/admin/models", "/metrics"])
async def test_a_web_page_of_somebody_elses_reaches_nothing(gateway: Gateway, path: str):
    """DNS rebinding: its name stands for 127.0.0.1, but the Host header says the name."""
    other = {"host": "evil.example"}
    heard = await ask(gateway.port, post(path, ASK, other) if path == CHAT else get(path, other))
    assert_refused(heard, Refusal(403, "Host header", type="permission_error", code="permission"))


# ---- what only the engine can judge


@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
async def test_the_engines_refusal_of_a_field_passes_once_in_our_envelope(gateway: Gateway, stream: object):
    """`max_tokens: -1` is the engine's to refuse; vLLM's numeric code does not come through."""
    heard = await ask(gateway.port, post(CHAT, body(max_tokens=-1, stream=stream)))
    expected = Refusal(400, "max_tokens must be at least 1, got -1.", param="max_tokens")
    assert_refused(heard, expected)


@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
async def test_a_prompt_longer_than_the_context_is_the_engines_400(
    gateway: Gateway, worker: FakeWorker, stream: object
):
    """Also with `stream: true` it is a status and an envelope, not a stream; it is never tried elsewhere."""
    before = worker.counts()["requests"]
    long = [{"role": "user", "content": "word " * 3000}]
    heard = await ask(gateway.port, post(CHAT, body(messages=long, stream=stream)))
    says = "This model's maximum context length is 2048 tokens"
    assert_refused(heard, Refusal(400, says, param="input_tokens"))
    assert heard.body.count(says.encode()) == 1
    assert worker.counts()["requests"] == before + 1


# ---- afterwards


def test_a_refused_request_does_not_poison_its_connection(gateway: Gateway):
    """Keep-alive goes on after a 400: the next answer belongs to the next request."""
    with httpx.Client(base_url=gateway.url, trust_env=False, timeout=READY) as sender:
        for _ in range(3):
            assert sender.post(CHAT, content=b"{", headers={"content-type": "application/json"}).status_code == 400
            assert sender.post(CHAT, json=ASK).status_code == 200


@pytest.mark.parametrize(("given", "echoed"), [("mine-1", True), ("a b", False), ("x" * 200, False)])
async def test_a_sane_request_id_is_echoed_and_no_other(gateway: Gateway, given: str, echoed: object):
    """What could forge a line of a log is replaced by an id of ours."""
    heard = await ask(gateway.port, get("/v1/nothing", {"x-request-id": given}))
    assert (heard.headers["x-request-id"] == given) is echoed


async def test_refusals_are_counted_by_their_status(gateway: Gateway):
    """One metric per outcome; an unknown model's name never becomes a label."""
    before = gateway.metric("enginehouse_requests_total", model="other", code="404")
    await ask(gateway.port, post(CHAT, {"model": "gpt-9"}))
    assert gateway.metric("enginehouse_requests_total", model="other", code="404") == before + 1
    assert gateway.metric("enginehouse_requests_total", model="gpt-9") == 0


async def test_nothing_that_was_refused_is_a_bug(gateway: Gateway):
    """After all of the above the gateway's log knows of no bug and no traceback."""
    assert "Traceback" not in gateway.log
    assert " 500 " not in gateway.log
