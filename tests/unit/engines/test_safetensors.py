"""Safetensors' headers: what they say, and what is refused."""

import json
import os
import struct
from pathlib import Path

import pytest

from engines.safetensors import LONGEST, HeaderRefused, parse, read
from tests.unit.engines.memory.models import header, write


def test_a_tensor_has_its_elements_and_its_bytes(tmp_path):
    """Without a byte of the tensors being read: they are holes here."""
    found = read(write(tmp_path, a=("BF16", [4, 8], 64)) / "model.safetensors")["a"]
    assert (found.dtype, found.elements, found.octets) == ("BF16", 32, 64)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "bytes long"),
        (b"\x00" * 4, "bytes long"),
        (struct.pack("<Q", 99) + b"{}", "claims 99 bytes"),
        (struct.pack("<Q", LONGEST + 1) + b"{}", "claims"),
        (struct.pack("<Q", 2**63) + b"{}", "claims"),
        (struct.pack("<Q", 2) + b"[]", "not a list of tensors"),
        (struct.pack("<Q", 20_005) + b'{"w":' + b"[" * 20_000, "not a list of tensors"),
        (struct.pack("<Q", 2) + b"\xff\xfe", "not a list of tensors"),
    ],
)
def test_what_is_no_header_is_refused(tmp_path, content, why):
    """No length that a file claims is believed before the file is known to hold it."""
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(HeaderRefused, match=why):
        read(path)


@pytest.mark.parametrize("tensor", [("F16", [2, 2], 9), ("F32", [-1, -1], 4), ("I8", [5], 4), ("I8", [2**62] * 400, 4)])
def test_a_tensor_whose_bytes_are_not_its_shapes_is_refused(tensor):
    text, room = header(a=tensor)
    with pytest.raises(HeaderRefused, match="a "):
        parse(text, room)


def test_a_tensor_beyond_the_end_of_the_file_is_refused():
    text, room = header(a=("I8", [8], 8))
    with pytest.raises(HeaderRefused, match="take 8 bytes, and the file holds 7"):
        parse(text, room - 1)


@pytest.mark.parametrize("spans", [[(1, 4)], [(0, 2), (3, 4)], [(0, 3), (2, 4)], [(0, 5), (5, 4)], [(0, 3)], [(-1, 4)]])
def test_tensors_lie_one_behind_the_other(spans):
    """From the first byte to the last: what is cut, padded or laid over itself is no checkpoint."""
    tensors = {str(at): {"dtype": "F5_NEW", "shape": [1], "data_offsets": span} for at, span in enumerate(spans)}
    with pytest.raises(HeaderRefused, match=r"overlap or leave gaps|and the file holds"):
        parse(json.dumps(tensors).encode(), 4)


def test_types_of_the_future_count_as_they_lie_there():
    text, room = header(a=("F5_NEW", [8], 5))
    assert parse(text, room)["a"].octets == 5


@pytest.mark.parametrize(
    "make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("nowhere"), lambda path: path.symlink_to(path)]
)
def test_what_is_no_file_is_refused_and_never_opened(tmp_path, make):
    """A pipe would hold up whoever opens it; links that lead nowhere are what a pruned cache of a hub leaves."""
    make(tmp_path / "m.safetensors")
    with pytest.raises(HeaderRefused, match="it is no file"):
        read(tmp_path / "m.safetensors")
