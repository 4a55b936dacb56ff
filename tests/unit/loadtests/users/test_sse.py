"""Lines in, events out."""

from __future__ import annotations

from loadtests.users.sse import Lines


def test_an_event_ends_with_a_blank_line_and_comments_are_none():
    lines = Lines()
    taken = [lines.take(line) for line in (b": beat", b"", b"event: x", b"data: a\r", b"data:b", b"\r")]
    assert taken == [None, None, None, None, None, b"a\nb"]


def test_the_rest_is_given_once():
    lines = Lines()
    lines.take(b"data: a")
    assert (lines.rest(), lines.rest()) == (b"a", None)
