"""A worker fails in the middle of a stream and another one goes on: rows 3, 6, 13 and 17 of the fault matrix.

The words are numbered and checksummed, so one that is lost, doubled or strayed is seen; the token ids and the usage are
compared with those of an unbroken stream.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from typing import Any

import pytest

from registry.snapshot import QueueLimits, Timeouts
from tests.faults.client import Transcript, ask, calling, post
from tests.faults.stage import CHAT, Measure, Pair, asked, broken_off, meanwhile, timed, words
from tests.faults.verify import inspect, text_of
from tests.processes import FakeWorker, gateway, model, short_folder
from tests.processes import fake_worker as worker
from tests.waiting import eventually

COMPLETIONS = "/v1/completions"
TOKENS = 12
VOICES = ["", "🎉👩‍🚀", "你好"]


def stream(path: str = CHAT, seed: int = 0, **fields: Any) -> bytes:
    """A greedy request with usage, whose words are bound to `seed`."""
    prompt = {"messages": [{"role": "user", "content": "hi"}]} if path == CHAT else {"prompt": "hi"}
    body = {"model": "small", **prompt, "stream": True, "temperature": 0, "seed": seed, "max_tokens": 100}
    return post(path, body | {"stream_options": {"include_usage": True}} | fields)


def seen(heard: Transcript) -> dict[str, Any]:
    """All that must not depend on how many workers there were."""
    events = [json.loads(data) for data in heard.events if data != "[DONE]"]
    choices = [choice for each in events for choice in each.get("choices", ())]
    return {
        "terminals": (heard.done, heard.errors, heard.half),
        "heads": len({(each["id"], each["object"], each["created"], each["model"]) for each in events}),
        "text": text_of(heard.events),
        "ids": [token for each in choices for token in each.get("token_ids") or ()],
        "roles": sum("role" in each.get("delta", {}) for each in choices),
        "finish": [each["finish_reason"] for each in choices if each["finish_reason"]],
        "usage": [each["usage"] for each in events if not each["choices"]],
    }


async def unbroken(pair: Pair, wire: bytes) -> dict[str, Any]:
    """What the request gets where nobody fails."""
    heard = seen(await ask(pair.port, wire))
    assert (heard["terminals"], heard["heads"], len(heard["usage"])) == ((1, [], ""), 1, 1)
    return heard


def speaking(pair: Pair, voice: str = "", **fault: Any) -> None:
    """Both workers say the same; the first one, which the gateway prefers, with a fault."""
    manner = {"tokens": TOKENS, "voice": voice, "halves": bool(voice)}
    pair.first.script(**manner, **fault)
    pair.second.script(**manner)
    pair.gateway.publish()  # what the gateway holds against a worker goes with the worker
    pair.publish()


def outcome(pair: Pair, name: str) -> float:
    return pair.gateway.metric("enginehouse_resumes_total", outcome=name)


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
@pytest.mark.parametrize("voice", VOICES, ids=["ascii", "emoji", "cjk"])
async def test_a_stream_cut_after_any_token_is_whole(pair: Pair, path: str, voice: str):
    """Row 3: cut inside the event of every token, also where a token is half a character."""
    speaking(pair, voice)
    expected = await unbroken(pair, stream(path))
    before = outcome(pair, "resumed")
    for cut in range(1 + bool(voice), TOKENS):
        speaking(pair, voice, truncate_at=cut)
        assert seen(await ask(pair.port, stream(path))) == expected, cut
    assert outcome(pair, "resumed") == before + TOKENS - 1 - bool(voice)


@pytest.mark.parametrize("fault", ["abort_at", "error_at", "malformed_at"])
@pytest.mark.parametrize("ids", [False, True])
async def test_an_engine_that_gives_up_is_followed_by_another(pair: Pair, fault: str, *, ids: bool):
    """Row 3: SIGTERM's `abort`, an error event, an event that is no JSON; with token ids if the client wants them."""
    wire = stream(return_token_ids=ids)
    speaking(pair, "你")
    expected = await unbroken(pair, wire)
    assert len(expected["ids"]) == (TOKENS if ids else 0)
    for at in (2, 5, 11):
        speaking(pair, "你", **{fault: at})
        assert seen(await ask(pair.port, wire)) == expected, at


async def test_what_the_client_did_not_ask_for_it_does_not_get(pair: Pair):
    """Neither usage nor token ids, over a broken worker or not."""
    for fault in ({}, {"truncate_at": 5}):
        speaking(pair, **fault)
        heard = await ask(pair.port, stream(stream_options=None))
        assert words(heard, TOKENS).clean
        assert (b'token_ids":[' in heard.body, b'"usage"' in heard.body, heard.done) == (False, False, 1)


async def test_killed_and_terminated_workers_cost_no_stream(pair: Pair, measured: Measure):
    """Row 3: twenty streams at once, SIGKILL and SIGTERM in the middle of all of them."""
    pair.second.script(tokens=60)
    for number in (signal.SIGKILL, signal.SIGTERM):
        with worker("--tokens=60", "--itl=0.02") as victim:
            pair.gateway.publish(model(victim, pair.second.view(capacity=0)))
            wires = [stream(seed=seed) for seed in range(20)]
            async with meanwhile(asked(pair, wires)) as told:
                await eventually(lambda: victim.counts()["generation_tokens"] > 100, what="tokens of each")
                pair.gateway.publish(model(victim, pair.second))
                os.kill(victim.process.pid, number)
                with timed(measured, "3", f"20 streams resumed after {number.name}"):
                    heard = await told
        assert [each for seed, each in enumerate(heard) if not words(each, 60, seed=seed).clean or each.done != 1] == []


async def test_a_frozen_worker_is_left_behind(pair: Pair, doomed: FakeWorker, measured: Measure):
    """Row 6: SIGSTOP; at the idle limit another one goes on, and after SIGCONT no late word reaches anyone."""
    doomed.script(tokens=40, itl=0.02)
    pair.second.script(tokens=40, itl=0.02)
    pair.gateway.publish(model(doomed, pair.second, timeouts=Timeouts(idle=3.0)))
    async with calling(pair.port, stream(seed=3)) as conversation:
        await conversation.hear(events=10)
        os.kill(doomed.process.pid, signal.SIGSTOP)
        with timed(measured, "6", "a stream resumed after SIGSTOP, idle limit 3 s"):
            await conversation.hear(events=20)
        os.kill(doomed.process.pid, signal.SIGCONT)
        heard = await conversation.hear()
    assert (inspect(text_of(heard.events), 40, key=3).clean, heard.terminals, heard.done) == (True, 1, 1)


async def test_two_workers_may_die_under_one_stream(pair: Pair):
    """One after the other; the third one ends the answer."""
    with worker(f"--tokens={TOKENS}") as third:
        speaking(pair, truncate_at=3)
        pair.second.script(tokens=TOKENS, truncate_at=3)
        pair.gateway.publish(model(pair.first, pair.second, third))
        heard = await ask(pair.port, stream())
        assert (words(heard, TOKENS).clean, heard.terminals, heard.done) == (True, 1, 1)
        await eventually(lambda: "attempts=3 resumes=2" in pair.gateway.log, what="a log line with both")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [({"seed": 1, "temperature": 1}, "seeded"), ({"n": 2}, "choices"), ({"presence_penalty": 1}, "penalties")],
    ids=str,
)
async def test_what_cannot_be_right_ends_with_the_error(pair: Pair, fields: dict[str, Any], reason: str):
    """Row 4: what had come, one error event, no `[DONE]`; counted by its reason."""
    speaking(pair, truncate_at=5)
    before = outcome(pair, f"refused_{reason}")
    heard = await ask(pair.port, stream(**fields))
    assert [error["code"] for error in heard.errors] == ["worker_failed"]
    assert (heard.done, heard.half, outcome(pair, f"refused_{reason}")) == (0, "", before + 1)


async def test_other_weights_do_not_go_on(pair: Pair):
    """A worker of another revision or quantization makes other tokens."""
    speaking(pair, truncate_at=5)
    before, calls = outcome(pair, "refused_no_twin"), pair.second.counts()["requests"]
    pair.gateway.publish(model(pair.first, pair.second.view(fingerprint="other")))
    assert broken_off(await ask(pair.port, stream()), "worker_failed")
    assert (outcome(pair, "refused_no_twin"), pair.second.counts()["requests"]) == (before + 1, calls)


async def test_a_stream_waits_its_turn_for_another_worker(pair: Pair):
    """The queue is full and nobody else is let in; who was admitted once is."""
    speaking(pair, truncate_at=5)
    pair.second.script(tokens=TOKENS, itl=0.2)
    pair.gateway.publish(model(pair.second.view(capacity=1), queue=QueueLimits(limit=0)))
    async with meanwhile(ask(pair.port, stream())) as busy:
        await eventually(lambda: pair.second.counts()["running"] == 1, what="a busy worker")
        pair.gateway.publish(model(pair.first, pair.second.view(capacity=1), queue=QueueLimits(limit=0)))
        heard = await ask(pair.port, stream(seed=4))
    assert words(await busy, TOKENS).clean
    assert (words(heard, TOKENS, seed=4).clean, heard.done) == (True, 1)


async def test_a_drained_worker_hands_its_streams_on(pair: Pair, doomed: FakeWorker):
    """It leaves the snapshot and is stopped while it still streams."""
    doomed.script(tokens=40, itl=0.02)
    pair.second.script(tokens=40)
    pair.gateway.publish(model(doomed, pair.second))
    async with calling(pair.port, stream()) as conversation:
        await conversation.hear(events=5)
        pair.gateway.publish(model(pair.second))
        doomed.kill()
        heard = await conversation.hear()
    assert (words(heard, 40).clean, heard.done) == (True, 1)


async def test_a_client_that_leaves_while_its_stream_waits_leaves_nothing(pair: Pair, doomed: FakeWorker):
    """No lease, no place in the queue, no call to the other worker."""
    doomed.script(tokens=40, itl=0.2)
    pair.second.script(ttft=60)
    pair.gateway.publish(model(doomed, pair.second.view(capacity=0)))
    async with calling(pair.port, stream()) as conversation:
        await conversation.hear(events=5)
        calls = pair.second.counts()["requests"]
        doomed.kill()
        await eventually(lambda: pair.gateway.metric("enginehouse_queue_depth") == 1, what="a stream in the queue")
        conversation.leave(reset=True)
        await eventually(lambda: pair.gateway.metric("enginehouse_inflight_requests") == 0, what="an empty gateway")
    assert (pair.gateway.metric("enginehouse_queue_depth"), pair.second.counts()["requests"]) == (0, calls)


async def test_a_slow_reader_is_resumed_too(pair: Pair):
    """It had not read what the first worker said when the second one went on."""
    long = ("--context=20000", "--tokens=9000")
    with worker(*long, "--exit-at=6000") as first, worker(*long) as second:
        views = (each.view(context=20_000) for each in (first, second))
        pair.gateway.publish(model(*views, context=20_000))
        async with calling(pair.port, stream(max_tokens=9000)) as conversation:
            await conversation.hear(events=1)
            await asyncio.sleep(1)  # a reader that does something else meanwhile
            heard = await conversation.hear()
    assert (words(heard, 9000).clean, heard.terminals, heard.done) == (True, 1, 1)


async def test_a_flapping_worker_breaks_no_stream(pair: Pair):
    """Row 13: it dies in every stream; all are whole, and it is soon left alone."""
    speaking(pair, truncate_at=3)
    before = pair.first.counts()["requests"]
    heard = [await ask(pair.port, stream(seed=seed)) for seed in range(40)]
    assert [each for seed, each in enumerate(heard) if not words(each, TOKENS, seed=seed).clean or each.done != 1] == []
    assert pair.first.counts()["requests"] - before < 8  # < 20 %


async def test_a_gateway_that_drains_still_resumes(doomed: FakeWorker):
    """Row 17: SIGTERM to the gateway, then its worker dies: the stream ends well, and the gateway with 0."""
    with worker("--tokens=40", "--itl=0.01") as other, short_folder() as folder, gateway(folder) as drained:
        doomed.script(tokens=40, itl=0.02)
        drained.publish(model(doomed, other))
        async with calling(drained.port, stream()) as conversation:
            await conversation.hear(events=5)
            drained.process.send_signal(signal.SIGTERM)
            doomed.kill()
            heard = await conversation.hear()
        assert (words(heard, 40).clean, heard.terminals, heard.done) == (True, 1, 1)
        assert drained.process.wait(60) == 0
