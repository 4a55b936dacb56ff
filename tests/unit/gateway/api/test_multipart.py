"""`multipart/form-data`, however it is cut; and what is none."""

from __future__ import annotations

import random

import pytest

from gateway.api.multipart import MOST_PARTS, Multipart, Part, boundary_of
from gateway.errors import InvalidRequest


def body(*parts, boundary=b"xyz", end=b"--\r\n"):
    """Parts: (disposition parameters, content)."""
    pieces = [
        b"--%b\r\nContent-Disposition: form-data; %b\r\ncontent-type: x/y\r\n\r\n%b\r\n" % (boundary, head, content)
        for head, content in parts
    ]
    return b"".join(pieces) + b"--" + boundary + end


FILE = b'name="file"; filename="a.tar"'
CONTENT = bytes(range(256)) * 20 + b"\r\n--xy\r\n--xy-z\r\n-" + b"\r\n" * 3
WHOLE = body((b'name="model"', b"m"), (b'name="empty"', b""), (FILE, CONTENT))
EXPECTED = [(Part("model", ""), b"m"), (Part("empty", ""), b""), (Part("file", "a.tar"), CONTENT)]


def read(whole, cuts=()):
    """What comes of a body that arrives in pieces."""
    reader, parts = Multipart(b"xyz"), []
    for begin, end in zip((0, *cuts), (*cuts, len(whole)), strict=True):
        for each in reader.feed(whole[begin:end]):
            if isinstance(each, Part):
                parts.append((each, b""))
            else:
                parts[-1] = (parts[-1][0], parts[-1][1] + each)
    return parts, reader.complete


def test_a_body_is_read_however_it_is_cut():
    chance = random.Random(1)
    cuts = [(), range(1, len(WHOLE)), *(sorted(chance.sample(range(len(WHOLE)), 9)) for _ in range(200))]
    assert all(read(WHOLE, tuple(each)) == (EXPECTED, True) for each in cuts)


def test_what_ends_early_is_not_complete():
    """Wherever it is cut: nothing of it may be taken for a whole."""
    assert not any(read(WHOLE[:end])[1] for end in range(len(WHOLE) - 4))


def test_what_stands_before_and_after_means_nothing():
    assert read(b"preamble\r\n" + WHOLE + b"epilogue" * 1000) == (EXPECTED, True)


WRONG = [
    b"no boundary at all" * 1000,
    b"--xyz?\r\n",
    b"--xyz\r\n\r\nno headers\r\n--xyz--",
    b"--xyz\r\nA: b\r\n\r\n",
    b'--xyz\r\nContent-Disposition: attachment; name="a"\r\n\r\n',
    b"--xyz\r\nContent-Disposition: form-data\r\n\r\n",
    b'--xyz\r\nContent-Disposition: form-data; name="\xff"\r\n\r\n',
    b"--xyz\r\nA: " + b"b" * 10_000,
    body(*[(b'name="a"', b"")] * (MOST_PARTS + 1)),
]


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_no_form_is_refused(wrong):
    with pytest.raises(InvalidRequest):
        read(wrong)


@pytest.mark.parametrize(
    ("media", "boundary"),
    [
        (b"multipart/form-data; boundary=abc", b"abc"),
        (b'Multipart/Form-Data; charset=utf-8; Boundary="a b"', b"a b"),
    ],
)
def test_the_boundary_is_in_the_content_type(media, boundary):
    assert boundary_of(media) == boundary


@pytest.mark.parametrize("media", [b"multipart/form-data", b"multipart/form-data; boundary=", b"a; boundary=\xff"])
def test_without_a_boundary_it_is_refused(media):
    with pytest.raises(InvalidRequest):
        boundary_of(media)
