"""A reader's short cuts for reads of whole events say exactly what its careful way says, byte by byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.client import chunk_of
from gateway.reading import StreamReader
from tests.unit.gateway.builders import CHAT, USAGE, delta, finish, sse

PIECES = st.sampled_from(
    [
        sse(delta("a")),
        sse(delta("bc")),
        sse(delta("", role="assistant")),
        sse(delta("🏠")),
        sse(finish()),
        sse(finish("abort")),
        sse(USAGE),
        sse({"error": "x"}),
        sse({"choices": []}),
        sse({"type": "x"}),
        sse("[DONE]"),
        b": comment\n\n",
        b"data: {}\n\n",
        b"data: {\n\n",
        b"data: {},{}\n\n",
        b"event: x\ndata: {}\n\n",
        b'data: {"choices":[{"text":"\xff"}]}\n\n',
        b'data: {"choices":[{"text":"a"}]}\r\n\r\n',
    ]
)


def read(*chunks, hide_usage):
    reader = StreamReader(CHAT, hide_usage=hide_usage)
    forwarded = b"".join([pass_or_feed(reader, chunk) for chunk in chunks])
    reader.end()
    return forwarded, reader.content, reader.complete, str(reader.fault), reader.usage


def pass_or_feed(reader, chunk):
    """As a stream is poured."""
    like = reader.likeness.has(chunk_of(chunk))
    return chunk if not reader.over and (like or reader.passes(chunk)) else reader.feed(chunk)


@given(st.lists(st.lists(PIECES, max_size=4).map(b"".join), max_size=4), st.booleans())
def test_whole_reads_and_single_bytes_are_read_alike(chunks, hide_usage):
    stream = b"".join(chunks)
    bytes_of_it = (stream[at : at + 1] for at in range(len(stream)))
    assert read(*chunks, hide_usage=hide_usage) == read(*bytes_of_it, hide_usage=hide_usage)


@pytest.mark.parametrize(
    "stream",
    [
        b'data: {"choices":\n[{"text":"a"}]}\n\n',
        b'data: {"choices":\r[{"text":"a"}]}\n\n',
        b'data: {"choices":[{"text":"a"}]\r\r}\n\n',
        b'data: {"choices":[{"text":"a"}]\n\ndata: }{"choices":[{"text":"b"}]}\n\n',
        b'data: {"choices":[{"text":"a"}],"x":"}\n\ndata: {"}{"choices":[{"text":"b"}]}\n\n',
        b'data: {"choices":[{"text":"a"}]} {"choices":[{"text":"b"}]}\n\n',
        b'data: {"choices":[{"text":"a"},{}\n\ndata: {}]},{"choices":[{"text":"b"}]}\n\n',
    ],
)
def test_what_the_client_could_not_read_is_a_fault(stream):
    """JSON may have line ends between its words and commas anywhere; an event may not be cut there."""
    forwarded, _, _, fault, _ = read(stream, hide_usage=False)
    assert (forwarded, "not JSON" in fault) == (b"", True)
