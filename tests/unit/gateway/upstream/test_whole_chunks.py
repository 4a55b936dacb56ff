"""A read of whole chunks is recognised without the parser, and only where the parser would say the same."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.upstream.response import BadResponse, Response, whole_chunks

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


def framed(body):
    return b"%x\r\n%b\r\n" % (len(body), body)


def streaming():
    """A response whose parser stands between two chunks."""
    response = Response()
    response.feed(HEAD + framed(b"x"))
    response.take()
    return response


@given(st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=4))
def test_all_chunks_without_a_line_end_of_http_are_recognised(bodies):
    bodies = [body.replace(b"\r\n", b"\n") for body in bodies]
    assert whole_chunks(b"".join(map(framed, bodies))) == bodies


NOISE = st.lists(st.sampled_from([b"\r\n", b"\r", b"\n", b"0", b"1", b"2", b"a", b"x"]), max_size=12).map(b"".join)


@given(st.one_of(NOISE, st.lists(NOISE.map(framed), max_size=3).map(b"".join), NOISE.map(framed).map(lambda r: r[1:])))
def test_what_is_recognised_the_parser_reads_alike(read):
    bodies = whole_chunks(read)
    if bodies:
        response = streaming()
        response.feed(read)
        assert (response.take(), response.between, response.complete) == (b"".join(bodies), True, False)


@pytest.mark.parametrize(
    "read",
    [
        b"",
        b"0\r\n\r\n",
        b"+1\r\nx\r\n",
        b"0x1\r\nx\r\n",
        b"01\r\nx\r\n",
        b" 1\r\nx\r\n",
        b"1;a=b\r\nx\r\n",
        b"2\r\nx\r\n",
        b"1\r\nxx\r\n",
        b"1\r\nx\n\n",
        b"1\r\nx\r\n0\r\n\r\n",
        b"1\r\nx\r\n1\r\nx\r",
        b"1\r\nx\r\n1\r\n",
        b"1\r\nx\r\n3\r\n\r\nx\r\n",
        b"A\r\n0123456789\r\n",
    ],
)
def test_anything_else_is_left_to_the_parser(read):
    assert whole_chunks(read) == []


@pytest.mark.parametrize(("cut", "between"), [(1, False), (3, False), (4, False), (5, False), (6, True)])
def test_the_parser_is_between_chunks_only_after_a_whole_one(cut, between):
    response = streaming()
    response.feed(framed(b"x")[:cut])
    assert response.between is between


@given(st.lists(st.binary(min_size=1, max_size=9), min_size=1, max_size=4), st.lists(st.integers(0, 60), max_size=5))
def test_wherever_a_stream_is_cut_the_short_way_reads_what_the_parser_reads(bodies, cuts):
    """The two take turns, as `Connection` has it."""
    stream = b"".join(map(framed, bodies))
    edges = sorted({0, len(stream), *(min(cut, len(stream)) for cut in cuts)})
    response, body = streaming(), b""
    for start, end in pairwise(edges):
        read = stream[start:end]
        taken = whole_chunks(read) if response.between else []
        if taken:
            body += b"".join(taken)
        else:
            response.feed(read)
            body += response.take()
    response.feed(b"0\r\n\r\n")
    assert (body, response.complete) == (b"".join(bodies), True)


def test_after_the_last_chunk_nothing_is_recognised():
    """Bytes after the end are a fault that the parser must see."""
    response = streaming()
    response.feed(b"0\r\n\r\n")
    assert (response.between, response.complete) == (False, True)
    with pytest.raises(BadResponse):
        response.feed(framed(b"x"))
