"""A worker fails in the middle of a stream and another one goes on: rows 3, 6, 13 and 17 of the fault matrix.

The words are numbered and checksummed, so one that is lost, doubled or strayed is seen; the token ids and the usage are
compared with those of an unbroken stream.
"""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import pytest

from registry.snapshot import Timeouts
from tests.faults.client import Transcript, ask, calling, post
from tests.faults.stage import CHAT, Measure, Pair, asked, meanwhile, timed, words
from tests.faults.verify import inspect, text_of
from tests.processes import FakeWorker, model
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
    pair.gateway.publish(model(doomed, pair.second, timeouts=Timeouts(idle=0.4)))
    async with calling(pair.port, stream(seed=3)) as conversation:
        await conversation.hear(events=10)
        os.kill(doomed.process.pid, signal.SIGSTOP)
        with timed(measured, "6", "a stream resumed after SIGSTOP, idle limit 400 ms"):
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
