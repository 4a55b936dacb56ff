"""A body that is pushed instead of asked for: each piece once, one end or one fault, and held back when told."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from gateway.upstream.connection import Connection, Flow
from gateway.upstream.faults import PeerClosed, ProtocolBroken, Silent
from tests.unit.gateway.builders import Wire, chunked, jumping, turns

STREAM = chunked(b"data", end=False)
PIECE, END = b"1\r\nx\r\n", b"0\r\n\r\n"


@dataclass
class Taker:
    """Keeps what is pushed to it."""

    pieces: list[bytes] = field(default_factory=list)
    faults: list[Exception] = field(default_factory=list)


def into(arrived, broke, again=lambda _read: False, chunks=lambda _read, _bodies: False, left=None):
    return Flow(again, chunks, arrived, broke, idle=30.0, left=left)


async def flowing(answer=STREAM, taker=None):
    taker = taker or Taker()
    connection, wire = Connection(asyncio.get_running_loop()), Wire()
    connection.connection_made(wire)
    asyncio.get_running_loop().call_soon(connection.data_received, answer)
    await connection.begin(b"x", b"", None)
    connection.flow(into(taker.pieces.append, taker.faults.append))
    return connection, wire, taker


async def passing(seconds):
    passed = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, passed.set)
    await passed.wait()


async def test_what_has_come_and_what_comes_is_pushed_and_then_the_end():
    connection, _, taker = await flowing()
    connection.data_received(PIECE)
    connection.data_received(PIECE + END)
    assert (taker.pieces, taker.faults) == ([b"data", b"x", b"x", b""], [])


async def test_a_body_that_is_already_complete_is_pushed_with_its_end():
    _, _, taker = await flowing(chunked(b"all"))
    assert taker.pieces == [b"all", b""]


async def test_a_body_that_ends_with_the_connection_has_its_end():
    connection, _, taker = await flowing(b"HTTP/1.1 200 OK\r\n\r\ndata")
    connection.connection_lost(None)
    assert (taker.pieces, taker.faults) == ([b"data", b""], [])


@pytest.mark.parametrize("loss", [None, ConnectionResetError("reset")])
async def test_a_worker_that_breaks_off_is_told_once(loss):
    connection, _, taker = await flowing()
    connection.connection_lost(loss)
    assert (taker.pieces, [type(fault) for fault in taker.faults]) == ([b"data"], [PeerClosed])


async def test_a_broken_body_is_told_once_although_the_transport_is_lost_after_it():
    """Aborting a transport makes the loop call `connection_lost`: that is the same failure."""
    connection, wire, taker = await flowing()
    connection.data_received(b"zz\r\n")
    connection.connection_lost(None)
    assert (wire.aborted, [type(fault) for fault in taker.faults]) == (True, [ProtocolBroken])


async def test_what_came_before_a_fault_is_pushed_before_it():
    """A fault between the headers and the flow loses no event that had come."""
    connection, wire = Connection(asyncio.get_running_loop()), Wire()
    connection.connection_made(wire)
    asyncio.get_running_loop().call_soon(connection.data_received, STREAM)
    await connection.begin(b"x", b"", None)
    connection.connection_lost(None)
    taker = Taker()
    connection.flow(into(taker.pieces.append, taker.faults.append))
    assert (taker.pieces, len(taker.faults)) == ([b"data"], 1)


@jumping
async def test_a_stream_that_stands_still_is_told_at_the_limit():
    _, wire, taker = await flowing()
    await passing(29.0)
    assert taker.faults == []
    await passing(2.0)
    assert ([type(fault) for fault in taker.faults], wire.aborted) == ([Silent], True)


@jumping
async def test_every_piece_moves_the_limit():
    connection, _, taker = await flowing()
    for _ in range(5):
        await passing(29.0)
        connection.data_received(PIECE)
    assert (len(taker.pieces), taker.faults) == (6, [])


@jumping
async def test_a_held_worker_is_paused_and_not_blamed():
    """Fault 15: the client is the slow one; what the worker does meanwhile is nothing to us."""
    connection, wire, taker = await flowing()
    connection.hold()
    await passing(1000.0)
    assert (wire.paused, wire.aborted, taker.faults) == (True, False, [])
    connection.go_on()
    connection.data_received(PIECE)
    assert (wire.paused, taker.pieces) == (False, [b"data", b"x"])


@jumping
async def test_after_a_hold_the_limit_counts_from_the_start():
    connection, _, taker = await flowing()
    connection.hold()
    await passing(1000.0)
    connection.go_on()
    await passing(29.0)
    assert taker.faults == []
    await passing(2.0)
    assert len(taker.faults) == 1


async def test_a_read_is_offered_as_it_came_where_a_chunk_begins_and_nowhere_else():
    """In the middle of one, bytes that look like a chunk are its body."""
    connection, _, taker = await flowing()
    offered = []
    connection.flow(
        into(taker.pieces.append, pytest.fail, again=lambda read: read == PIECE and not offered.append(read))
    )
    for read in (PIECE, b"6\r\n", PIECE, b"\r\n", PIECE):
        connection.data_received(read)
    assert (offered, taker.pieces) == ([PIECE, PIECE], [b"data", PIECE])


@jumping
async def test_a_read_that_is_taken_as_it_came_moves_the_limit():
    connection, _, taker = await flowing()
    connection.flow(into(taker.pieces.append, taker.faults.append, again=lambda _read: True))
    for _ in range(5):
        await passing(29.0)
        connection.data_received(PIECE)
    assert taker.faults == []
    await passing(31.0)
    assert len(taker.faults) == 1


async def test_a_taker_that_leaves_gets_nothing_more():
    """`leave` from inside `arrived`: the terminal event was read, the rest is drained."""
    taker, kept = Taker(), []
    connection, _, _ = await flowing(chunked(b"", end=False), taker)
    connection.flow(
        into(lambda piece: (taker.pieces.append(piece), connection.leave(kept.append, drain=True)), pytest.fail)
    )
    connection.data_received(PIECE + END)
    assert taker.pieces == [b"x"]


async def test_a_taker_that_left_at_the_last_piece_gives_the_connection_back():
    """The end came with the last piece: nothing is left to drain."""
    taker, kept = Taker(), []
    connection, _, _ = await flowing(chunked(b"", end=False), taker)
    connection.flow(into(lambda _: connection.leave(kept.append, drain=True), pytest.fail))
    connection.data_received(PIECE + END)
    await turns()
    assert (kept, connection.idle) == ([connection], True)


async def test_a_taker_that_holds_at_the_first_piece_is_held():
    """Its client is full of it: nothing more is read for it, and the worker is not blamed for the silence."""
    taker = Taker()
    connection, wire = Connection(asyncio.get_running_loop()), Wire()
    connection.connection_made(wire)
    asyncio.get_running_loop().call_soon(connection.data_received, STREAM)
    await connection.begin(b"x", b"", None)
    connection.flow(into(lambda piece: (taker.pieces.append(piece), connection.hold()), taker.faults.append))
    assert (taker.pieces, wire.paused, connection._deadline.at) == ([b"data"], True, None)
