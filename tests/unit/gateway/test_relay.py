"""THE FLOW: which workers are tried, when, and what is said in the end. Workers are scripts on loopback sockets."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import pytest

from gateway.call import Call
from gateway.client import AsgiClient
from gateway.errors import AnswerTimeout, EngineRefused, FirstTokenTimeout, NoWorker, WorkerBusy, WorkerFailed
from gateway.patience import Patience
from gateway.pool.pool import Pool
from gateway.pool.queue import Priority
from gateway.relay import RETRIES, Relay
from registry.snapshot import Target, Timeouts
from tests.unit.gateway.builders import (
    CHAT,
    NOBODY,
    WHOLE_STREAM,
    Inbox,
    Outbox,
    PlainEngine,
    cancelled,
    chunked,
    delta,
    exchange,
    http,
    jumping,
    model_view,
    sse,
    worker_view,
)
from tests.unit.gateway.scripted import closes, hangs, says, scripted
from tests.waiting import eventually

ANSWER = http(b'{"choices":[{"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}')
STREAM = chunked(WHOLE_STREAM)
CUT = chunked(sse(delta("", role="assistant")), end=False)


@dataclass
class House:
    """A pool of scripted workers called a, b, c, …, and what the relay told others."""

    pool: Pool
    servers: list = field(default_factory=list)
    engine: PlainEngine = field(default_factory=PlainEngine)
    suspected: list = field(default_factory=list)
    retried: list = field(default_factory=list)
    resumed: list = field(default_factory=list)
    record: object = None
    clock: object = None
    """The relay's own; None: the loop's."""

    async def begin(self, *, stream=True, usage_asked=True, requested="m", needs="", **limits):
        clock = asyncio.get_running_loop().time
        relay = Relay(
            clock=self.clock or clock,
            suspect=lambda worker, _: self.suspected.append(worker),
            retried=lambda model, reason: self.retried.append((model, reason)),
            resumed=lambda model, outcome: self.resumed.append((model, outcome)),
        )
        self.record = exchange(stream=stream, started=clock())
        target = Target(requested, self.pool.model, needs or self.pool.model.served_name)
        patience = Patience(Timeouts(**limits), clock, stream=stream)
        normal = Priority.NORMAL
        return await relay.begin(
            Call(CHAT, target, self.pool, self.engine, b"{}", usage_asked, normal, patience, self.record, needs=needs)
        )

    async def ask(self, **asked):
        """The client's side of a whole request."""
        outbox = Outbox()
        await (await self.begin(**asked))(AsgiClient(Inbox(), outbox))
        return outbox

    @property
    def asked(self):
        """How often each worker was asked."""
        return [len(server.requests) for server in self.servers]


@asynccontextmanager
async def house_of(*workers, **model):
    """Workers that answer by their scripts (a list of answers each); None: nobody listens."""
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(scripted(*answers or ())) for answers in workers]
        ports = [NOBODY if answers is None else server.port for answers, server in zip(workers, servers, strict=True)]
        views = [worker_view(name, port=port) for name, port in zip("abcdef", ports, strict=False)]
        view = model_view(*views, **model)
        pool = Pool(view, asyncio.get_running_loop().time, lambda: 0.5)
        pool.update(view)
        house = House(pool, servers)
        yield house
        assert pool.active == sum(worker.inflight for worker in pool._workers.values()) == 0
        pool.retire()


async def test_a_stream_comes_through():
    async with house_of([says(STREAM)]) as house:
        assert (await house.ask()).body == WHOLE_STREAM
        assert (house.suspected, house.retried, house.record.worker, house.record.attempts) == ([], [], "a", 1)


async def test_a_json_answer_comes_through():
    async with house_of([says(ANSWER)]) as house:
        outbox = await house.ask(stream=False)
        assert (outbox.status, outbox.body) == (200, ANSWER.partition(b"\r\n\r\n")[2])
        assert house.record.usage.completion == 2


async def test_the_engine_gets_its_own_name_for_the_model_and_is_asked_for_usage():
    async with house_of([says(STREAM), says(STREAM)], served_name="llm") as house:
        await house.ask(requested="default", usage_asked=False)
        await house.ask(requested="llm", usage_asked=True)
        assert house.engine.asked == [("llm", True), (None, False)]


FAILING = [
    None,
    [closes()],
    [closes(CUT)],
    [says(http(b"{}", 500))],
    [says(http(b"{}", 502))],
    [says(http(b"", 302))],
    [says(b"garbage\r\n\r\n")],
    [says(http(b"not json"))],
    [says(chunked(sse({"error": {"message": "out of memory"}})))],
    [says(chunked(b"data: {\n\n"))],
    [says(chunked(sse("[DONE]")[:-3]))],
]


@pytest.mark.parametrize("failing", FAILING)
async def test_before_the_first_token_another_worker_is_tried(failing):
    """Refused, closed, 5xx, busy, garbage, an error event: the client sees one good answer."""
    async with house_of(failing, [says(STREAM)]) as house:
        assert (await house.ask()).body == WHOLE_STREAM
        assert (house.suspected, len(house.retried), house.record.attempts) == (["a"], 1, 2)


@pytest.mark.parametrize("status", [429, 503])
async def test_a_busy_worker_is_passed_over_and_not_suspected(status):
    """It answers, and knows what it can do: there is nothing to probe."""
    async with house_of([says(http(b"{}", status))], [says(STREAM)]) as house:
        assert (await house.ask()).body == WHOLE_STREAM
        assert (house.suspected, house.record.attempts) == ([], 2)


@pytest.mark.parametrize("status", [400, 404, 413, 422])
async def test_an_engines_own_refusal_is_never_retried(status):
    body = b'{"error":{"message":"no","code":%d}}' % status
    async with house_of([says(http(body, status))], [says(STREAM)]) as house:
        with pytest.raises(EngineRefused, match="no") as caught:
            await house.begin()
        assert (caught.value.answered_status, house.asked, house.suspected) == (status, [1, 0], [])


async def test_after_the_first_token_nothing_is_retried():
    async with house_of([closes(chunked(sse(delta("Hi")), end=False))], [says(STREAM)]) as house:
        outbox = await house.ask()
        assert (b'"worker_failed"' in outbox.body, b"[DONE]" in outbox.body, house.asked) == (True, False, [1, 0])


async def test_a_json_answer_that_breaks_half_way_is_retried():
    """Fault 4: nothing of it was sent."""
    async with house_of([closes(ANSWER[:-1])], [says(ANSWER)]) as house:
        assert (await house.ask(stream=False)).status == 200


async def test_no_worker_is_tried_twice_and_no_more_than_allowed():
    async with house_of(*[[closes(), says(STREAM)] for _ in range(RETRIES + 2)]) as house:
        with pytest.raises(WorkerFailed):
            await house.begin()
        assert house.asked == [1] * (RETRIES + 1) + [0]


async def test_the_only_workers_failure_is_its_own_answer():
    async with house_of([says(http(b"{}", 500))]) as house:
        with pytest.raises(WorkerFailed, match="status 500"):
            await house.begin()
        assert house.asked == [1]


@pytest.mark.parametrize("count", [1, 2, 3, 5])
async def test_where_nobody_can_be_reached_there_is_no_worker(count):
    """Fault 5: all workers down is 503 `no_worker` with Retry-After, however many they are."""
    async with house_of(*[None] * count) as house:
        with pytest.raises(NoWorker) as caught:
            await house.begin()
        assert caught.value.retry_after


async def test_where_everybody_is_busy_the_client_is_told_when_to_come_back():
    """503 never comes without Retry-After."""
    async with house_of([says(http(b"{}", 503, "retry-after: 7"))], [says(http(b"{}", 429))]) as house:
        with pytest.raises(WorkerBusy) as caught:
            await house.begin()
        assert b"retry-after" in dict(caught.value.headers())


async def test_a_busy_worker_that_says_when_is_left_alone_until_then():
    async with house_of([says(http(b"{}", 429, "retry-after: 7"))], [says(STREAM), says(STREAM)]) as house:
        await house.ask()
        await house.ask()
        assert house.asked == [1, 2]


@jumping
async def test_a_first_token_that_does_not_come_is_tried_once_elsewhere():
    async with house_of([hangs()], [hangs(CUT)], [says(STREAM)]) as house:
        with pytest.raises(FirstTokenTimeout):
            await house.begin(first_token=120.0)
        assert (house.asked, house.record.attempts) == ([1, 1, 0], 2)


@jumping
async def test_comments_and_roles_are_no_first_token():
    """The limit is for the first content: a worker that only clears its throat is cut at it."""

    async def clears_its_throat(_, writer):
        writer.write(CUT)
        for _ in range(100):
            writer.write(b"4\r\n:\n\n\n\r\n")
            passed = asyncio.Event()
            asyncio.get_running_loop().call_later(10.0, passed.set)
            await passed.wait()
        return False

    async with house_of([clears_its_throat]) as house:
        with pytest.raises(FirstTokenTimeout):
            await house.begin(first_token=120.0)
        assert asyncio.get_running_loop().time() == pytest.approx(120.0, abs=11)


@jumping
async def test_an_answer_that_takes_too_long_is_not_tried_again():
    """Its time is over for every other worker too."""
    async with house_of([hangs()], [says(ANSWER)]) as house:
        with pytest.raises(AnswerTimeout):
            await house.begin(stream=False, answer=60.0)
        assert house.asked == [1, 0]


async def test_a_cancelled_request_gives_its_worker_back_and_aborts_it():
    """The client left before the first token."""
    async with house_of([hangs()]) as house:
        task = asyncio.get_running_loop().create_task(house.begin())
        await eventually(lambda: house.asked == [1])
        await cancelled(task)
        await house.servers[0].left.wait()
        assert house.pool.active == 0


async def test_the_whole_pool_failing_gets_no_storm_of_retries():
    """The budget: what exceeds it waits its turn."""
    async with house_of([closes() for _ in range(40)], [closes() for _ in range(40)]) as house:
        begun = await asyncio.gather(*(house.begin() for _ in range(20)), return_exceptions=True)
        assert {type(each) for each in begun} == {WorkerFailed}
        assert sum(house.asked) == 40
        assert house.pool.retries.under_way == 0


@pytest.mark.parametrize("status", [401, 403])
async def test_a_worker_that_refuses_our_key_has_failed_us_and_not_the_client(status):
    """The client's own key was good: another worker is asked, and the supervisor hears of this one."""
    async with house_of([says(http(b"{}", status))], [says(STREAM)]) as house:
        assert (await house.ask()).body == WHOLE_STREAM
        assert len(house.suspected) == 1


async def test_a_worker_that_fails_after_the_first_token_is_suspected():
    """It is probed at once, not at the next round."""
    async with house_of([closes(chunked(sse(delta("Hi")), end=False))]) as house:
        await house.ask()
        assert len(house.suspected) == 1


@jumping
async def test_a_retry_waits_its_turn_within_the_requests_own_limit():
    """The budget is used up: the answer's time passes, and nobody else is asked after it."""
    async with house_of([closes()], [says(ANSWER)]) as house, AsyncExitStack() as others:
        unhurried = Patience(Timeouts(), asyncio.get_running_loop().time, stream=True)
        for _ in range(3):
            await others.enter_async_context(house.pool.retries.turn(unhurried))
        with pytest.raises(AnswerTimeout):
            await house.begin(stream=False, answer=60.0)
        assert (house.asked, asyncio.get_running_loop().time()) == ([1, 0], pytest.approx(60.0, abs=1))


async def test_a_worker_is_given_back_whatever_fails_once_it_is_leased():
    """The second look at the clock is the first step with a worker in hand."""
    looks = []

    def clock():
        looks.append(None)
        if len(looks) == 2:
            raise ValueError("no clock")
        return 0.0

    async with house_of([says(ANSWER)]) as house:
        house.clock = clock
        with pytest.raises(ValueError, match="no clock"):
            await house.begin(stream=False)
        assert house.pool.active == 0
