"""The access log's lines: in order, each with its time, put in words when they are written."""

from __future__ import annotations

import os

from gateway.lines import Lines


class Said:
    """A line that remembers whether it was put in words."""

    def __init__(self, text):
        self.text, self.asked = text, 0

    def __str__(self):
        self.asked += 1
        return self.text


async def test_lines_are_written_together_in_their_order_with_their_times():
    read, write = os.pipe()
    times = iter([1_700_000_000.25, 1_700_000_001.5])
    lines, said = Lines(write, lambda: next(times)), [Said("one"), Said("two")]
    for each in said:
        lines.write(each)
    assert [each.asked for each in said] == [0, 0]
    lines.flush()
    assert os.read(read, 1000) == b"2023-11-14T22:13:20.250Z one\n2023-11-14T22:13:21.500Z two\n"
    lines.flush()
    assert [each.asked for each in said] == [1, 1]
    os.close(read)
    os.close(write)


async def test_a_log_that_cannot_be_written_stops_nothing():
    read, write = os.pipe()
    os.close(read)
    lines = Lines(write, lambda: 0.0)
    lines.write("lost")
    lines.flush()
    os.close(write)
