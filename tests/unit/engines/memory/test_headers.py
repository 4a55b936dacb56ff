"""Safetensors' headers: what they say, and what is refused."""

import struct

import pytest

from engines.memory.headers import LONGEST, HeaderRefused, parse, read
from tests.unit.engines.memory.models import header, write


def test_a_tensor_has_its_elements_and_its_bytes(tmp_path):
    """Without a byte of the tensors being read: they are holes here."""
    found = read(write(tmp_path, a=("BF16", [4, 8], 64)) / "model.safetensors")["a"]
    assert (found.dtype, found.elements, found.octets) == ("BF16", 32, 64)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "too short"),
        (b"\x00" * 4, "too short"),
        (struct.pack("<Q", 99) + b"{}", "claims 99 bytes"),
        (struct.pack("<Q", LONGEST + 1) + b"{}", "claims"),
        (struct.pack("<Q", 2**63) + b"{}", "claims"),
        (struct.pack("<Q", 2) + b"[]", "damaged"),
        (struct.pack("<Q", 2) + b"\xff\xfe", "damaged"),
    ],
)
def test_what_is_no_header_is_refused(tmp_path, content, why):
    """No length that a file claims is believed before the file is known to hold it."""
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(HeaderRefused, match=why):
        read(path)


@pytest.mark.parametrize("tensor", [("F16", [2, 2], 9), ("F32", [-1, -1], 4), ("I8", [5], 4)])
def test_a_tensor_whose_bytes_are_not_its_shapes_is_refused(tensor):
    text, room = header(a=tensor)
    with pytest.raises(HeaderRefused, match="a "):
        parse(text, room, "file")


def test_a_tensor_beyond_the_end_of_the_file_is_refused():
    text, room = header(a=("I8", [8], 8))
    with pytest.raises(HeaderRefused, match="outside"):
        parse(text, room - 1, "file")


def test_types_of_the_future_count_as_they_lie_there():
    text, room = header(a=("F5_NEW", [8], 5))
    assert parse(text, room, "file")["a"].octets == 5
