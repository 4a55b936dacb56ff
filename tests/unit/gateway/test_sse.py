"""Framing: whole events, whatever the line ends and wherever the network cut."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sse import LIMIT, EventTooLong, Framer, payload

ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
FIELDS = st.sampled_from([b"data: {}", b"data:x", b"data", b": comment", b"event: error", b"id: 1", b"data: [DONE]"])
EVENTS = st.builds(lambda fields, end: end.join(fields) + end + end, st.lists(FIELDS, min_size=1, max_size=3), ENDS)


def events_of(*chunks):
    framer = Framer()
    return [event for chunk in chunks for event in framer.feed(chunk)]


@given(st.lists(EVENTS, max_size=5).map(b"".join), st.data())
def test_cuts_and_glue_do_not_matter(stream, data):
    """Any stream, cut into any chunks, gives the events that it gives in single bytes."""
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)))))
    chunks = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert events_of(*chunks) == events_of(*(stream[at : at + 1] for at in range(len(stream))))


@given(st.lists(EVENTS, max_size=5))
def test_every_event_comes_out_once_and_in_order(events):
    """Nothing is lost, doubled or changed: the bytes pass through, each event's payload with it."""
    got = events_of(b"".join(events))
    assert b"".join(got) == b"".join(events)
    assert [payload(event) for event in got] == [payload(event) for event in events]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_each_line_end_ends_an_event(end):
    assert events_of(b"data: 1" + end * 2 + b"data: 2" + end * 2) == [b"data: 1" + end * 2, b"data: 2" + end * 2]


def test_one_chunk_with_two_kinds_of_ends_is_two_events():
    """The short cut for a lone event must not swallow a boundary of another kind."""
    assert events_of(b"data: 1\r\n\r\ndata: 2\n\n") == [b"data: 1\r\n\r\n", b"data: 2\n\n"]


@given(st.binary(max_size=64))
def test_arbitrary_bytes_are_kept_whole(chunk):
    """What comes out and what is held back is what went in."""
    framer = Framer()
    whole = b"".join(framer.feed(chunk))
    assert whole + bytes(framer._pending) == chunk
    assert not re.search(rb"\n\n|\r\n\r\n", bytes(framer._pending))


def test_an_event_without_an_end_is_refused():
    """A worker cannot fill the gateway's memory."""
    framer = Framer()
    framer.feed(b"data: " + b"x" * (LIMIT - 6))
    with pytest.raises(EventTooLong):
        framer.feed(b"x")


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (b"data: x\n\n", b"x"),
        (b"data:x\r\n\r\n", b"x"),
        (b"data: x\r\r", b"x"),
        (b"data: a\ndata: b\n\n", b"a\nb"),
        (b"event: error\ndata: x\n\n", b"x"),
        (b": heartbeat\n\n", b""),
        (b"\n\n", b""),
        (b"data:  two\n\n", b" two"),
        (b"data: a\rdata: b\n\n", b"a\nb"),
    ],
)
def test_payload_is_the_data_of_an_event(event, expected):
    """One leading space belongs to the field, more to the data; several lines are joined."""
    assert payload(event) == expected
