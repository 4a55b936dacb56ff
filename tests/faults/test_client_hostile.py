"""Clients that do what HTTP allows and nobody expects, or what it forbids: none of it harms them or anyone else.

Lengths that conflict and bodies that are no JSON are in `tests/stories/test_bad_input.py`; slow ones are in
`test_client_slow.py`.
"""

from __future__ import annotations

import asyncio
import random

import pytest

from tests.faults.client import End, ask, calling, get, head, post
from tests.faults.stage import CHAT, SEED, Pair, broken_off, bugs, in_turns, refused, request, resident, whole
from tests.processes import model
from tests.waiting import eventually

MEGABYTE = 1_000_000
TOO_LARGE = "headers_too_large"


async def nothing_is_left(pair: Pair) -> None:
    await eventually(lambda: pair.gateway.metric("enginehouse_inflight_requests") == 0, what="an empty gateway")
    await eventually(lambda: pair.first.counts()["running"] + pair.second.counts()["running"] == 0, what="idle workers")


# ---- pipelined


async def test_pipelined_requests_are_answered_in_order(pair: Pair):
    """A stream, a refusal, a listing, JSON: sent at once, each gets its own answer."""
    wires = [request(seed=1), post(CHAT, b"{"), get("/v1/models"), request(stream=False, seed=4), get("/v1/nothing")]
    async with calling(pair.port, b"".join(wires)) as conversation:
        assert whole(await conversation.hear(), seed=1)
        assert (await conversation.another()).status == 400
        assert (await conversation.another()).json()["data"][0]["id"] == "small"
        assert whole(await conversation.another(), seed=4)
        assert (await conversation.another()).status == 404


async def test_hundreds_of_pipelined_requests_are_answered_in_order(pair: Pair):
    """More than one read's worth, half of them slow: no answer overtakes another."""
    wires = [request(stream=seed % 2 == 0, seed=seed, tokens=2, itl=0.001 * (seed % 3)) for seed in range(300)]
    async with calling(pair.port, b"".join(wires)) as conversation:
        assert whole(await conversation.hear(), 2, seed=0)
        for seed in range(1, 300):
            assert whole(await conversation.another(), 2, seed=seed), seed
    await nothing_is_left(pair)


async def test_a_request_behind_a_stream_waits_for_its_end(pair: Pair):
    """It is sent in mid-stream, in pieces, and does not disturb a chunk of it."""
    second = request(stream=False, seed=2)
    async with calling(pair.port, request(seed=1, itl=0.02)) as conversation:
        await conversation.hear(events=3)
        await conversation.say(second[:50])
        await conversation.hear(events=6)
        await conversation.say(second[50:])
        assert whole(await conversation.hear(), seed=1)
        assert whole(await conversation.another(), seed=2)


BEHIND = {
    "garbage": b"hello world\r\n\r\n",
    "a length that conflicts": head("POST", CHAT, {"host": "localhost", "content-length": "5", "Content-Length": "6"}),
    "too many headers": head("GET", "/livez", {f"x-{number}": "a" for number in range(101)}),
    "a huge header": get("/livez", {"x-a": "b" * 20_000}),
    "a huge header and a body": post(CHAT, b"{}" * 20, {"x-a": "b" * 20_000}),
}


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "json"])
@pytest.mark.parametrize("wire", BEHIND.values(), ids=BEHIND.keys())
async def test_a_bad_request_does_not_spoil_the_answer_before_it(pair: Pair, wire: bytes, stream: object):
    """Nothing is written into an answer that is under way, and it is not lost; then the connection closes."""
    for together in (True, False):
        good = request(stream=bool(stream), seed=6, itl=0.01 if together else 0.1)
        async with calling(pair.port, good + wire if together else good) as conversation:
            if not together:
                await eventually(lambda: pair.gateway.metric("enginehouse_inflight_requests") == 1)
                await conversation.say(wire)
            assert whole(await conversation.hear(), seed=6), together
            assert await conversation.ended()
    await nothing_is_left(pair)


async def test_headers_without_an_end_behind_a_stream_take_no_memory(pair: Pair):
    """16 KiB of the next request are kept while this one is answered; the stream is finished all the same."""
    before = resident(pair.gateway)
    async with calling(pair.port, request(seed=8, itl=0.2)) as conversation:
        await conversation.hear(events=2)
        await conversation.say(b"GET /livez HTTP/1.1\r\nx-a: ")
        for _ in range(40):
            await conversation.say(b"b" * MEGABYTE)
        assert resident(pair.gateway) - before < 10 * MEGABYTE
        assert whole(await conversation.hear(), seed=8)
        assert await conversation.ended()


# ---- heads


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "json"])
async def test_a_client_that_waits_for_100_continue_gets_it(pair: Pair, stream: object):
    """Exactly one, before the body is sent; then the answer."""
    wire = request(stream=bool(stream), seed=11).replace(b"host:", b"expect: 100-continue\r\nhost:", 1)
    start, _, body = wire.partition(b"\r\n\r\n")
    reader, writer = await asyncio.open_connection("127.0.0.1", pair.port)
    writer.write(start + b"\r\n\r\n")
    async with asyncio.timeout(60):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(body)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    writer.transport.abort()
    async with calling(pair.port, wire) as conversation:
        assert whole(await conversation.hear(), seed=11)


@pytest.mark.parametrize(
    ("wire", "status"),
    [
        (head("POST", CHAT, {"host": "localhost", "content-length": "20000000", "expect": "100-continue"}), 413),
        (head("POST", "/v1/nothing", {"host": "localhost", "content-length": "20", "expect": "100-continue"}), 404),
    ],
)
async def test_a_body_that_would_be_refused_is_not_asked_for(pair: Pair, wire: bytes, status: int):
    """The refusal comes instead of the 100."""
    reader, writer = await asyncio.open_connection("127.0.0.1", pair.port)
    writer.write(wire)
    async with asyncio.timeout(60):
        assert (await reader.readline()).split()[1] == b"%d" % status
    writer.transport.abort()


HUGE = {
    "one header of 17 KiB": get("/livez", {"x-a": "b" * 17 * 1024}),
    "many headers of 17 KiB": get("/livez", {f"x-{number}": "b" * 1024 for number in range(17)}),
    "101 headers": get("/livez", {f"x-{number}": "b" for number in range(101)}),
    "1 MB in one header": get("/livez", {"x-a": "b" * MEGABYTE}),
    "headers without an end": b"GET /livez HTTP/1.1\r\n" + b"x-a: b\r\n" * 10_000,
    "a header without an end": b"GET /livez HTTP/1.1\r\nx-a: " + b"b" * MEGABYTE,
    "a path without an end": b"GET /" + b"b" * MEGABYTE,
}


@pytest.mark.parametrize("wire", HUGE.values(), ids=HUGE.keys())
async def test_huge_headers_are_refused_in_the_envelope(pair: Pair, wire: bytes):
    """431 `headers_too_large`, connection closed; whoever stays within the limits is served."""
    async with calling(pair.port, wire) as conversation:
        heard = await conversation.hear()
        # The kernel may reset what was sent and never read: then the refusal can be lost on the way.
        assert heard.end is End.RESET or refused(heard, 431, TOO_LARGE), heard
    fits = get("/livez", {f"x-{number}": "b" * 150 for number in range(95)})
    assert (await ask(pair.port, fits)).status == 200


async def test_an_offer_to_upgrade_is_passed_over(pair: Pair):
    """Java's client offers h2c with every plain request; its body must not get lost over it."""
    offer = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAEAAEAAAAI\r\n"
    for stream in (True, False):
        wire = request(stream=stream, seed=12).replace(b"host:", offer + b"host:", 1)
        async with calling(pair.port, wire[:-20]) as conversation:
            await conversation.say(wire[-20:] + wire)
            assert whole(await conversation.hear(), seed=12)
            assert whole(await conversation.another(), seed=12)


async def test_a_wish_for_a_tunnel_is_refused(pair: Pair):
    """CONNECT belongs to proxies."""
    heard = await ask(pair.port, b"CONNECT example.com:443 HTTP/1.1\r\nhost: example.com\r\n\r\n")
    assert (heard.status, heard.json()["error"]["type"]) == (400, "invalid_request_error")


async def test_http_1_0_is_answered(pair: Pair):
    """Old load balancers; the answer ends with the connection."""
    wire = request(stream=False, seed=13).replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    async with calling(pair.port, wire) as conversation:
        assert whole(await conversation.hear(), seed=13)
        assert await conversation.ended()


# ---- leaving


async def test_a_client_that_resets_at_any_byte_of_its_request_leaves_nothing(pair: Pair):
    """Also at the very last one: then the worker may have been asked, and is free again."""
    wire = request(ttft=60)
    before = pair.calls

    async def reset_after(length: int) -> None:
        async with calling(pair.port, wire[:length]) as conversation:
            conversation.leave(reset=True)

    await in_turns(len(wire), 20, reset_after)
    await nothing_is_left(pair)
    assert pair.calls <= before + 1
    assert whole(await ask(pair.port, request()))
    assert bugs(pair.gateway) == ""


async def test_a_client_that_resets_at_any_event_of_its_answer_leaves_nothing(pair: Pair):
    """Seeded points of a stream, by FIN and RST, with and without a pipelined request behind it."""
    chance = random.Random(SEED)

    async def leave_at(number: int) -> None:
        wire = request(itl=0.001, tokens=200, seed=number)
        async with calling(pair.port, wire * chance.choice((1, 2))) as conversation:
            await conversation.hear(events=chance.randrange(1, 60))
            conversation.leave(reset=chance.random() < 0.5)

    await in_turns(100, 20, leave_at)
    await nothing_is_left(pair)
    assert bugs(pair.gateway) == ""


async def test_a_broken_stream_leaves_its_connection_usable(pair: Pair):
    """The error event ends the answer, not the connection: the next request on it is answered."""
    pair.gateway.publish(model(pair.first))
    async with calling(pair.port, request(seed=1, truncate_at=5) + request(seed=2)) as conversation:
        assert broken_off(await conversation.hear(), "worker_failed", seed=1)
        assert whole(await conversation.another(), seed=2)
