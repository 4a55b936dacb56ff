"""The relayed paths as one ASGI endpoint, on one scripted worker: understood, relayed, and left by its client."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from engines.engine import Capabilities
from gateway.api.inference import Inference
from gateway.errors import ClientGone, InvalidRequest, ModelNotFound, NotImplementedHere, WorkerFailed
from gateway.pool.house import House
from gateway.relay import Relay
from gateway.shadowing import Shadows
from gateway.telemetry import Telemetry
from gateway.trials import Trials
from gateway.wire import WireClient
from tests.unit.gateway.builders import (
    CHAT,
    WHOLE_STREAM,
    Inbox,
    Outbox,
    PlainEngine,
    Socket,
    chunked,
    exchange,
    http,
    jumping,
    model_view,
    part,
    scope,
    snapshot,
    worker_view,
)
from tests.unit.gateway.scripted import hangs, says, scripted
from tests.waiting import eventually

JSON = b'{"model":"m"}'
STREAM = b'{"model":"m","stream":true}'
OK = http(b'{"choices":[]}')


class Desk:
    """An endpoint and one client's request to it."""

    def __init__(self, port, engine=None):
        clock = asyncio.get_running_loop().time
        self.house = House(clock)
        self.house.publish(snapshot(model_view(worker_view(port=port), aliases=("default",))))
        relay = Relay(clock=clock, suspect=lambda *_: None, retried=lambda *_: None, resumed=lambda *_: None)
        engines = {"plain": engine or PlainEngine()}
        self.trials, self.shadows = Trials(lambda: 0.5), Shadows(clock)
        self.telemetry = Telemetry(self.trials.settle)
        self.inference = Inference(self.house, relay, self.telemetry, engines, 1000, clock, self.trials, self.shadows)
        self.record, self.outbox, self.inbox = exchange(), Outbox(), None

    async def ask(self, body, **changed):
        self.inbox = Inbox(part(body))
        await self.inference(CHAT, scope(exchange=self.record, **changed), self.inbox, self.outbox)
        return self.outbox


@asynccontextmanager
async def desk_at(*answers, **rest):
    async with scripted(*answers) as worker:
        desk = Desk(worker.port, **rest)
        desk.worker = worker
        yield desk
        assert all(pool.active == pool.waiting == 0 for pool in desk.house.pools)
        assert set(desk.telemetry.inflight.values()) <= {0}
        desk.house.publish(snapshot(revision=2))


@pytest.mark.parametrize(("body", "answer"), [(JSON, OK), (STREAM, chunked(WHOLE_STREAM))])
async def test_a_request_is_answered(body, answer):
    async with desk_at(says(answer)) as desk:
        outbox = await desk.ask(body)
        assert (outbox.status, outbox.ended) == (200, True)
        assert (desk.record.model, desk.record.operation, desk.record.engine) == ("m", "chat", "plain")
        assert desk.worker.requests[0].endswith(body)


async def test_a_request_is_answered_on_the_wire():
    """The short way, where the server offers it."""
    async with desk_at(says(chunked(WHOLE_STREAM))) as desk:
        socket = Socket()
        client = WireClient(socket, desk.record)
        await desk.inference.answer(CHAT, scope(exchange=desk.record), STREAM, client)
        assert (desk.record.status, socket.ends) == (200, ["close"])
        assert b"x-request-id: req_1" in socket.written


@pytest.mark.parametrize(
    ("body", "error"), [(b"{", InvalidRequest), (b'{"model":"x"}', ModelNotFound), (b"x" * 1001, InvalidRequest)]
)
async def test_what_cannot_be_relayed_reaches_no_worker(body, error):
    async with desk_at() as desk:
        with pytest.raises(error):
            await desk.ask(body)
        assert (desk.worker.connections, desk.record.operation) == (0, "chat")


async def test_an_unknown_model_is_counted_as_other():
    """A client's text is never a label."""
    async with desk_at() as desk:
        with pytest.raises(ModelNotFound):
            await desk.ask(b'{"model":"canary"}')
        assert desk.record.model == "other"


async def test_a_path_that_the_engine_lacks_is_refused():
    engine = PlainEngine(capabilities=Capabilities(frozenset({"/v1/completions"}), hot_adapters=False))
    async with desk_at(engine=engine) as desk:
        with pytest.raises(NotImplementedHere, match="does not serve /v1/chat/completions"):
            await desk.ask(JSON)


@pytest.mark.parametrize("body", [JSON, STREAM])
async def test_a_client_that_leaves_aborts_the_workers_work(body):
    """In the middle of the wait for the first token or the answer."""
    async with desk_at(hangs()) as desk:
        asking = asyncio.get_running_loop().create_task(desk.ask(body))
        await eventually(lambda: desk.worker.requests)
        desk.inbox.leave()
        with pytest.raises(ClientGone):
            await asking
        await desk.worker.left.wait()


def late(wire, seconds=20.0):
    """A worker that answers after a while."""

    async def answer(_, writer):
        passed = asyncio.Event()
        asyncio.get_running_loop().call_later(seconds, passed.set)
        await passed.wait()
        writer.write(wire)
        return True

    return answer


@jumping
async def test_a_stream_that_is_late_begins_with_comments():
    async with desk_at(late(chunked(WHOLE_STREAM))) as desk:
        outbox = await desk.ask(STREAM)
        assert (outbox.body, outbox.ended) == (b": waiting\n\n" + WHOLE_STREAM, True)


@jumping
async def test_a_json_request_that_is_late_gets_no_comments():
    async with desk_at(late(OK)) as desk:
        assert (await desk.ask(JSON)).body == b'{"choices":[]}'


@jumping
async def test_a_late_failure_of_a_stream_is_an_event():
    """The comment committed the 200."""
    async with desk_at(late(http(b"{}", 500))) as desk:
        outbox = await desk.ask(STREAM)
        assert (outbox.status, outbox.ended, desk.record.code) == (200, True, "worker_failed")
        assert outbox.body.startswith(b': waiting\n\ndata: {"error":')


@jumping
async def test_an_early_failure_of_a_stream_keeps_its_status():
    async with desk_at(late(http(b"{}", 500), seconds=5.0)) as desk:
        with pytest.raises(WorkerFailed):
            await desk.ask(STREAM)
        assert desk.outbox.messages == []


@jumping
async def test_a_late_json_answer_to_a_stream_does_not_begin_a_second_response():
    """An engine that ignores `stream`: after a comment its answer can only be told as a failure."""
    async with desk_at(late(OK)) as desk:
        outbox = await desk.ask(STREAM)
        starts = [message for message in outbox.messages if message["type"] == "http.response.start"]
        assert (len(starts), outbox.ended, outbox.body.startswith(b': waiting\n\ndata: {"error":')) == (1, True, True)
