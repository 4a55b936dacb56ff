"""The fake worker over real sockets: it speaks the dialect, and every scripted fault is really on the wire."""

from __future__ import annotations

import asyncio
import json
import sys

import httpx
import pytest

from engines.fake.words import verify
from tests.stories.fakes import fake_worker, listening
from tests.waiting import PATIENCE, eventually

BODY = {"model": "fake", "messages": [{"role": "user", "content": "hello there"}]}
STREAM = BODY | {"stream": True, "stream_options": {"include_usage": True}}


def events(text: str) -> list[dict]:
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ") and "[DONE]" not in line]


def content(text: str) -> str:
    return "".join(
        choice["delta"].get("content") or "" for event in events(text) for choice in event.get("choices", ())
    )


async def test_a_stream_has_role_words_finish_usage_and_done(unused_tcp_port: int) -> None:
    async with fake_worker(unused_tcp_port, "--tokens", "5") as client:
        text = (await client.post("/v1/chat/completions", json=STREAM)).text
    assert verify(content(text)) == 5
    assert events(text)[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert events(text)[-2]["choices"][0]["finish_reason"] == "stop"
    assert events(text)[-1]["usage"]["completion_tokens"] == 5
    assert text.endswith("data: [DONE]\n\n")


async def test_errors_are_spelt_as_vllm_spells_them(unused_tcp_port: int) -> None:
    async with fake_worker(unused_tcp_port, "--context", "3") as client:
        unknown = await client.post("/v1/chat/completions", json=BODY | {"model": "other"})
        long = await client.post("/v1/completions", json={"prompt": "one two three four"})
        broken = await client.post("/v1/completions", content=b'{"prompt": ')
    assert [each.json()["error"]["code"] for each in (unknown, long, broken)] == [404, 400, 400]


async def test_a_key_guards_v1_alone(unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "sesame")
    async with fake_worker(unused_tcp_port) as client:
        refused = await client.get("/v1/models")
        taken = await client.get("/v1/models", headers={"authorization": "Bearer sesame"})
        health = await client.get("/health")
    assert (refused.status_code, taken.status_code, health.status_code) == (401, 200, 200)


async def test_it_notices_at_once_that_a_client_has_left(unused_tcp_port: int) -> None:
    async with fake_worker(unused_tcp_port, "--itl", "60") as client:
        async with client.stream("POST", "/v1/chat/completions", json=STREAM) as answer:
            await anext(answer.aiter_bytes())

        async def aborted() -> dict[str, int] | None:
            counts = (await client.get("/fake/counts")).json()
            return counts if counts["aborted"] else None

        counts = await eventually(aborted, what="an abort")
    assert (counts["aborted"], counts["running"], counts["after_leave"]) == (1, 0, 0)


@pytest.mark.parametrize(
    "fault", [{"truncate_at": 2}, {"exit_at": 2}, {"cut_at": 500}, {"cut_at": 500, "reset": True}, {"bad_chunk_at": 3}]
)
async def test_a_cut_stream_is_cut(unused_tcp_port: int, fault: dict[str, object]) -> None:
    async with fake_worker(unused_tcp_port) as client:
        with pytest.raises(httpx.TransportError):
            await client.post("/v1/chat/completions", json=STREAM | {"x_fake": fault})


async def test_harmless_oddities_leave_the_words_whole(unused_tcp_port: int) -> None:
    odd = {"crlf": True, "slice": 1, "comments": True, "no_final_newline": True, "drop_keep_alive": True}
    async with fake_worker(unused_tcp_port, "--tokens", "3") as client:
        text = (await client.post("/v1/chat/completions", json=STREAM | {"x_fake": odd})).text
    assert verify(content(text)) == 3


async def test_a_scripted_status_comes_with_its_retry_after(unused_tcp_port: int) -> None:
    async with fake_worker(unused_tcp_port) as client:
        await client.post("/fake/script", json={"next": [{"status": 429, "retry_after": "7"}]})
        refused = await client.post("/v1/completions", json={"prompt": "x"})
        taken = await client.post("/v1/completions", json={"prompt": "x"})
    assert (refused.status_code, refused.headers["retry-after"], taken.status_code) == (429, "7", 200)


async def test_a_hung_generation_leaves_health_alone(unused_tcp_port: int) -> None:
    async with fake_worker(unused_tcp_port, "--hang-at", "1") as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.post("/v1/chat/completions", json=STREAM, timeout=httpx.Timeout(PATIENCE, read=0.2))
        assert (await client.get("/health")).status_code == 200


async def test_an_adapter_is_loaded_named_and_unloaded(unused_tcp_port: int) -> None:
    async with fake_worker(unused_tcp_port, "--tokens", "2") as client:
        order = {"lora_name": "pirate", "lora_path": "/tmp/pirate"}
        loads = [(await client.post("/v1/load_lora_adapter", json=order)).status_code for _ in range(2)]
        spoken = (await client.post("/v1/completions", json={"model": "pirate", "prompt": "x"})).json()
        await client.post("/v1/unload_lora_adapter", json=order)
        gone = await client.post("/v1/completions", json={"model": "pirate", "prompt": "x"})
    assert (loads, gone.status_code) == ([200, 400], 404)
    assert verify(spoken["choices"][0]["text"], voice="pirate") == 2


async def test_sigterm_ends_streams_with_abort(unused_tcp_port: int) -> None:
    """As vLLM does: `abort`, `[DONE]`, a clean end. It is a failure that looks like an answer."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "engines.fake", "--port", str(unused_tcp_port), "--itl", "60", stdout=-3
    )
    url = f"http://127.0.0.1:{unused_tcp_port}"
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=PATIENCE) as client:
        await listening(client)
        async with client.stream("POST", "/v1/chat/completions", json=STREAM) as answer:
            pieces = answer.aiter_text()
            text = await anext(pieces)
            process.terminate()
            text += "".join([piece async for piece in pieces])
    assert [event["choices"][0]["finish_reason"] for event in events(text) if event["choices"]][-1] == "abort"
    assert text.endswith("data: [DONE]\n\n")
    assert await process.wait() == 0
