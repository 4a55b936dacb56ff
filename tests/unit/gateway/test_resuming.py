"""Another worker goes on: which ones are tried, what is told meanwhile, and what is said where nobody can."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import msgspec
import pytest

from engines.vllm import VLLM
from gateway.call import Call
from gateway.client import AsgiClient
from gateway.patience import Patience
from gateway.pool.loading import RETRY_SOON
from gateway.pool.pool import Pool
from gateway.pool.queue import Priority
from gateway.relay import Relay
from gateway.resuming import TRIES
from registry.snapshot import Target, Timeouts
from tests.unit.gateway.builders import (
    CHAT,
    Inbox,
    Outbox,
    chunked,
    exchange,
    http,
    jumping,
    model_view,
    worker_view,
)
from tests.unit.gateway.resume.toy import PROMPT, Toy, tokens_of
from tests.unit.gateway.scripted import closes, hangs, says, scripted

ASKED = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True, "max_tokens": 50}
TOY = Toy(tokens_of("Hello, you.", [1]))
IDS = {**ASKED, "return_token_ids": True, "stream_options": {"include_usage": True}}
WHOLE = b"".join(TOY.stream(CHAT.path, ASKED))
CUT = 5
"""Events of the first worker: the role and four tokens."""
BROKEN = closes(chunked(b"".join(TOY.stream(CHAT.path, IDS)[:CUT]), end=False))
REST = TOY.stream("/v1/completions", {**IDS, "prompt": [*PROMPT, *TOY.answer[: CUT - 1]]}, created=8)
GOES_ON = says(chunked(b"".join(REST)))


@dataclass
class House:
    """A pool of scripted twins, and what the relay told others."""

    pool: Pool
    servers: list
    suspected: list = field(default_factory=list)
    outcomes: list = field(default_factory=list)
    record: object = None
    clock: object = None
    """The relay's own; None: the loop's."""

    async def ask(self, needs="", **limits):
        clock = asyncio.get_running_loop().time
        relay = Relay(
            clock=self.clock or clock,
            suspect=lambda worker, _: self.suspected.append(worker),
            retried=lambda *_: None,
            resumed=lambda _, outcome: self.outcomes.append(outcome),
        )
        self.record = exchange(stream=True, started=clock())
        target = Target("m", self.pool.model, "m")
        patience = Patience(Timeouts(**limits), clock, stream=True)
        body = msgspec.json.encode(ASKED)
        call = Call(CHAT, target, self.pool, VLLM, body, False, Priority.NORMAL, patience, self.record, needs=needs)
        outbox = Outbox()
        await (await relay.begin(call))(AsgiClient(Inbox(), outbox))
        return outbox.body

    @property
    def asked(self):
        return [len(server.requests) for server in self.servers]


@asynccontextmanager
async def house_of(*workers, last=None, **model):
    """Workers that answer by their scripts, all alike; `last` changes the view of the last one."""
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(scripted(*answers)) for answers in workers]
        views = [
            worker_view(name, port=server.port, fingerprint="f", context=99)
            for name, server in zip("abcdefgh", servers, strict=False)
        ]
        views[-1] = msgspec.structs.replace(views[-1], **(last or {}))
        pool = Pool(model_view(*views, **model), asyncio.get_running_loop().time, lambda: 0.5)
        pool.update(pool.model)
        yield House(pool, servers)
        assert pool.active == sum(worker.inflight for worker in pool._workers.values()) == 0
        pool.retire()


def failed(body: bytes) -> bool:
    """Whether a stream ended with what had come and one error event."""
    return b'"error"' in body.rpartition(b"data: ")[2] and b"[DONE]" not in body


async def test_another_worker_ends_the_answer():
    """The client gets the unbroken stream, byte for byte; the usage is that of the whole."""
    async with house_of([BROKEN], [GOES_ON]) as house:
        assert await house.ask() == WHOLE
        usage = house.record.usage
        assert (usage.prompt_tokens, usage.completion_tokens) == (len(PROMPT), len(TOY.answer) + 1)
        assert (house.outcomes, house.suspected) == (["resumed"], ["a"])
        assert (house.record.resumes, house.record.attempts, house.record.worker) == (1, 2, "b")


@pytest.mark.parametrize("bad", [closes(), says(http(b"{}", 401)), says(http(b"{}", 500)), closes(chunked(b""))])
async def test_a_second_one_that_fails_is_followed_by_a_third(bad):
    """Before its first event nothing of it was told."""
    async with house_of([BROKEN], [bad], [GOES_ON]) as house:
        assert await house.ask() == WHOLE
        assert (house.outcomes, house.suspected, house.asked) == (["resumed"], ["a", "b"], [1, 1, 1])


async def test_a_refusal_is_the_end():
    """A 4xx is no worker's fault, and no other worker would say otherwise."""
    async with house_of([BROKEN], [says(http(b"{}", 400))], [GOES_ON]) as house:
        assert failed(await house.ask())
        assert (house.outcomes, house.suspected, house.asked) == (["failed"], ["a"], [1, 1, 0])


async def test_the_tries_are_bounded():
    """Not every worker of a large pool is tried by a stream that kills them."""
    async with house_of([BROKEN], *[[closes()] for _ in range(6)]) as house:
        assert failed(await house.ask())
        assert (house.outcomes, sum(house.asked)) == (["failed"], 1 + TRIES)


async def test_a_worker_of_other_weights_is_not_asked():
    """It would make other tokens."""
    async with house_of([BROKEN], [GOES_ON], last={"fingerprint": "g"}) as house:
        assert failed(await house.ask())
        assert (house.outcomes, house.asked) == (["refused_no_twin"], [1, 0])


@jumping
async def test_only_a_worker_that_holds_the_revision_goes_on():
    """Never the base, and not another revision, although the weights are the same."""
    async with house_of([BROKEN], [], [GOES_ON]) as house:
        views = [
            msgspec.structs.replace(view, resident=(f"m:cat@{digest}",))
            for view, digest in zip(house.pool.model.workers, ("0" * 16, "1" * 16, "0" * 16), strict=True)
        ]
        house.pool.update(msgspec.structs.replace(house.pool.model, workers=tuple(views)))
        assert await house.ask(needs="m:cat@" + "0" * 16) == WHOLE
        assert (house.asked, house.outcomes) == ([1, 0, 1], ["resumed"])


async def test_a_frozen_worker_is_left_before_another_one_is_asked():
    """At the idle limit; whatever it says later reaches nobody."""
    frozen = hangs(chunked(b"".join(TOY.stream(CHAT.path, IDS)[:CUT]), end=False))
    async with house_of([frozen], [GOES_ON]) as house:
        assert await house.ask(idle=5) == WHOLE
        assert (house.servers[0].aborted + house.servers[0].left.is_set(), house.outcomes) == (1, ["resumed"])


@jumping
async def test_a_client_hears_comments_while_its_stream_waits():
    """Nobody is free: the stream waits as long as the queue allows, then tells the failure."""
    async with house_of([BROKEN], [GOES_ON], last={"capacity": 0}) as house:
        body = await house.ask()
        assert (body.count(b": waiting\n\n"), failed(body)) == (1, True)
        assert (house.outcomes, house.asked) == (["failed"], [1, 0])


@pytest.mark.parametrize("status", [429, 503])
async def test_a_busy_twin_is_passed_over_and_not_suspected(status):
    """All streams of a worker that died come to its twins at once: who says that it is busy is well."""
    async with house_of([BROKEN], [says(http(b"{}", status, "retry-after: 9"))], [GOES_ON]) as house:
        assert await house.ask() == WHOLE
        assert (house.outcomes, house.suspected, house.asked) == (["resumed"], ["a"], [1, 1, 1])


@pytest.mark.parametrize(("header", "rest"), [(("retry-after: 7",), 7.0), ((), RETRY_SOON)])
@jumping
async def test_the_only_twin_is_asked_again_when_it_has_rested(header, rest):
    async with house_of([BROKEN], [says(http(b"{}", 429, *header)), GOES_ON]) as house:
        body = await house.ask()
        assert body.replace(b": waiting\n\n", b"") == WHOLE
        assert (house.outcomes, house.suspected, house.asked) == (["resumed"], ["a"], [1, 2])
        assert asyncio.get_running_loop().time() == pytest.approx(rest, abs=1)


@pytest.mark.parametrize(("header", "limits"), [("retry-after: 31", {}), ("retry-after: 7", {"total": 5.0})])
@jumping
async def test_a_rest_beyond_the_limits_is_not_waited_for(header, limits):
    """Those of the queue, and of the request: the client hears at once."""
    async with house_of([BROKEN], [says(http(b"{}", 429, header)), GOES_ON]) as house:
        assert failed(await house.ask(**limits))
        assert (house.outcomes, house.suspected, house.asked) == (["failed"], ["a"], [1, 1])
        assert asyncio.get_running_loop().time() < 1.0


async def test_a_twin_is_given_back_whatever_fails_once_it_has_answered():
    """The first look at the clock with its answer in hand fails."""
    async with house_of([BROKEN], [hangs(chunked(b"".join(REST[:2]), end=False))]) as house:
        looks = []

        def clock():
            if house.servers[1].requests and not looks:
                looks.append(None)
                raise ValueError("no clock")
            return 0.0

        house.clock = clock
        with pytest.raises(ValueError, match="no clock"):
            await house.ask()
        await house.servers[1].left.wait()
        assert house.pool.active == 0
