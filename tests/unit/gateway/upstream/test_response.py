"""One HTTP response, bytes in and parts out: what is accepted from a worker, and what never is."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.upstream.response import HEADER_LIMIT, BadResponse, Response

OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = OK + b"Content-Length: 5\r\nX-A: 1\r\n\r\nhello"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n"
INFORMED = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + LENGTH
CLOSED = OK + b"connection: close\r\n\r\nhello"
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"
FRAMED = [LENGTH, CHUNKED, INFORMED]


def receive(*pieces, eof=False):
    response = Response()
    for piece in pieces:
        response.feed(piece)
    if eof:
        response.eof()
    return response


def seen(response):
    return response.status, response.headers, b"".join(response.chunks), response.complete, response.reusable


@pytest.mark.parametrize("whole", FRAMED)
def test_a_framed_response_is_read_to_its_end(whole):
    """By length, by chunks, and after an informational response."""
    response = receive(whole)
    assert (response.status, response.take(), response.complete, response.reusable) == (200, b"hello", True, True)


@pytest.mark.parametrize("whole", [*FRAMED, CLOSED, EMPTY])
def test_cuts_do_not_matter(whole):
    """Any response, in single bytes or cut once anywhere, is the response that it is in one piece."""
    expected = seen(receive(whole, eof=True))
    assert seen(receive(*(whole[at : at + 1] for at in range(len(whole))), eof=True)) == expected
    for cut in range(len(whole)):
        assert seen(receive(whole[:cut], whole[cut:], eof=True)) == expected


@given(st.binary(max_size=300), st.lists(st.integers(1, 50), max_size=8), st.data())
def test_any_body_in_any_chunks_and_cuts_comes_out(body, sizes, data):
    wire, rest = OK + b"transfer-encoding: chunked\r\n\r\n", body
    for size in [*sizes, 10_000]:
        part, rest = rest[:size], rest[size:]
        wire += b"%X\r\n%b\r\n" % (len(part), part) if part else b""
    wire += b"0\r\n\r\n"
    cuts = sorted(data.draw(st.sets(st.integers(0, len(wire)), max_size=6)))
    response = receive(
        *(wire[start:end] for start, end in zip([0, *cuts], [*cuts, len(wire)], strict=True) if start < end)
    )
    assert (response.take(), response.complete) == (body, True)


@given(st.lists(st.sampled_from([LENGTH, CHUNKED, INFORMED, EMPTY]), min_size=2, max_size=5), st.integers(1, 50))
def test_responses_follow_each_other_and_share_nothing(wholes, size):
    """A connection's next response is what it would have been on a new connection."""
    response = Response()
    for whole in wholes:
        response.expect()
        for at in range(0, len(whole), size):
            response.feed(whole[at : at + size])
        assert seen(response) == seen(receive(whole))


@pytest.mark.parametrize("whole", FRAMED)
def test_an_early_end_raises_at_every_offset(whole):
    """Fault 10: a framed response that is cut is never complete."""
    for cut in range(len(whole)):
        response = receive(whole[:cut])
        with pytest.raises(BadResponse):
            response.eof()
        assert not response.complete


def test_a_response_without_a_frame_ends_with_the_connection():
    response = receive(CLOSED)
    assert not response.complete
    response.eof()
    assert (response.take(), response.complete, response.reusable) == (b"hello", True, False)


def test_connection_close_is_not_reused():
    assert not receive(OK + b"connection: close\r\ncontent-length: 0\r\n\r\n").reusable


def test_eof_after_the_end_is_nothing():
    response = receive(LENGTH)
    response.eof()
    assert response.complete


@pytest.mark.parametrize("glued", [True, False])
@pytest.mark.parametrize("more", [LENGTH, b"HTTP/1.1 500 X\r\ncontent-length: 1\r\n\r\nx", b"garbage"])
def test_bytes_after_the_end_are_no_part_of_the_response(more, glued):
    """Nor of the next one: a connection on which they came is not used again."""
    response = Response()
    with contextlib.suppress(BadResponse):
        for piece in [LENGTH + more] if glued else [LENGTH, more]:
            response.feed(piece)
        assert glued, "bytes that come later belong to nobody"
        assert not response.reusable
    assert (response.status, response.take(), response.complete) == (200, b"hello", True)


@pytest.mark.parametrize(
    "head",
    [
        b"content-length: 5\r\ncontent-length: 6\r\n",
        b"content-length: 5\r\ntransfer-encoding: chunked\r\n",
        b"transfer-encoding: chunked\r\ncontent-length: 5\r\n",
        b"content-length: -1\r\n",
        b"content-length: five\r\n",
        b"content-length: 99999999999999999999999\r\n",
        b"x-a: 1\r\n folded\r\n",
        b"x a: 1\r\n",
    ],
)
def test_contradictory_heads_are_refused(head):
    """Security rule 12: what two parsers could read in two ways is read in none."""
    with pytest.raises(BadResponse):
        receive(OK + head + b"\r\nhello")


@pytest.mark.parametrize(
    "chunk", [b"zz\r\n", b"-1\r\n", b"2\r\nhello\r\n", b"fffffffffffffffff\r\n", b"5 5\r\n", b"\r\n\r\n"]
)
def test_chunk_sizes_that_lie_are_refused(chunk):
    with pytest.raises(BadResponse):
        receive(OK + b"transfer-encoding: chunked\r\n\r\n" + chunk)


@pytest.mark.parametrize(
    "garbage",
    [b"\x00", b"220 smtp ready\r\n", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 2000 OK\r\n", b"HTTP/1.1 OK\r\n", b"{}"],
)
def test_what_is_not_http_is_refused(garbage):
    with pytest.raises(BadResponse):
        receive(garbage)


def test_switching_protocols_is_refused():
    """Nobody asked for it."""
    with pytest.raises(BadResponse):
        receive(b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n")


@pytest.mark.parametrize("endless", [b"x: " + b"a" * 1000, b"x: y\r\n" * 100])
def test_headers_without_an_end_are_refused(endless):
    with pytest.raises(BadResponse, match="headers without an end"):
        receive(OK, *([endless] * (HEADER_LIMIT // len(endless) + 1)))


def test_informational_responses_without_an_end_are_refused():
    hint = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"
    with pytest.raises(BadResponse):
        receive(*([hint] * (HEADER_LIMIT // len(hint) + 1)))


def test_trailers_do_not_change_the_headers():
    """What comes after the body cannot say what the body was."""
    response = receive(
        OK + b"transfer-encoding: chunked\r\ncontent-type: a\r\n\r\n1\r\nx\r\n0\r\ncontent-type: b\r\n\r\n"
    )
    assert (response.headers[b"content-type"], response.complete) == (b"a", True)


def test_header_names_are_lower_case_and_empty_values_stay():
    response = receive(OK + b"X-Empty:\r\nContent-Type: a/b\r\ncontent-length: 0\r\n\r\n")
    assert response.headers == {b"x-empty": b"", b"content-type": b"a/b", b"content-length": b"0"}


def test_begun_says_whether_any_byte_has_come():
    assert [Response().begun, receive(b"H").begun] == [False, True]


PIECES = st.sampled_from(
    [OK, LENGTH, CHUNKED, EMPTY, b"\r\n", b"0\r\n\r\n", b"5\r\n", b"content-length: 3\r\n", b"\r\n\r\n"]
)


@given(st.lists(PIECES | st.binary(max_size=40), max_size=8))
def test_arbitrary_bytes_raise_only_bad_response(pieces):
    """Whatever a worker sends: parts of a response, or one kind of error; a body only with its headers."""
    try:
        response = receive(*pieces, eof=True)
    except BadResponse:
        return
    assert response.complete
    assert 200 <= response.status < 1000
