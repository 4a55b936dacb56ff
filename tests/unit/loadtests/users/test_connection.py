"""Addresses, and bodies cut into lines."""

from __future__ import annotations

import pytest

from loadtests.users.answers import Bad
from loadtests.users.connection import api_url, lines


class Body:
    """A response that has come in `pieces`; `length`: bytes that are still owed at the end."""

    def __init__(self, *pieces: bytes, length: int | None = None) -> None:
        self._pieces = iter(pieces)
        self.length = length

    def read1(self, _: int) -> bytes:
        return next(self._pieces, b"")


@pytest.mark.parametrize(
    ("host", "base"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/v1"),
        ("https://api.example.com/", "https://api.example.com/v1"),
        ("https://api.example.com/openai/v1/", "https://api.example.com/openai/v1"),
    ],
)
def test_a_host_with_a_path_is_taken_at_its_word(host: str, base: str):
    assert api_url(host) == base


@pytest.mark.parametrize("host", ["", "localhost:8000", "ftp://x", "http://", "http://x:port"])
def test_what_is_no_url_is_refused(host: str):
    with pytest.raises(ValueError, match=r"."):
        api_url(host)


def test_lines_are_given_as_they_end_wherever_the_network_cut():
    assert list(lines(Body(b"da", b"ta: a\n\nda", b"ta: b\n", b"rest"))) == [b"data: a", b"", b"data: b", b"rest"]


def test_a_body_that_is_shorter_than_announced_is_cut():
    with pytest.raises(Bad, match="cut off"):
        list(lines(Body(b"a\n", length=3)))


def test_a_line_without_an_end_does_not_fill_the_memory():
    with pytest.raises(Bad, match="a line without an end"):
        list(lines(Body(*[b"x" * 1_000_000] * 100)))
