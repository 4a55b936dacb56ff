"""NaN and infinity are found in every type, at every place, and nothing else is taken for them."""

import io
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.adapters.finite import infinite
from engines.safetensors import Tensor

BAD = {
    "F32": [b"\x00\x00\x80\x7f", b"\x00\x00\x80\xff", b"\x01\x00\x80\x7f", b"\xff\xff\xff\xff"],
    "BF16": [b"\x80\x7f", b"\x80\xff", b"\xc0\x7f"],
    "F16": [b"\x00\x7c", b"\x00\xfc", b"\x01\x7c", b"\xff\x7f"],
    "F64": [struct.pack("<d", value) for value in (math.inf, -math.inf, math.nan)],
}
LARGEST = {"F32": b"\xff\xff\x7f\x7f", "BF16": b"\x7f\x7f", "F16": b"\xff\x7b", "F64": struct.pack("<d", 1.7e308)}
CASES = [(dtype, number) for dtype, numbers in BAD.items() for number in numbers]


def found(content, dtype, start=0):
    tensor = Tensor(dtype, (1,), (0, len(content)))
    return list(infinite(io.BytesIO(b"\xff" * start + content), start, {"w": tensor}))


@pytest.mark.parametrize(("dtype", "number"), CASES)
@pytest.mark.parametrize("share", [0.0, 0.5, 0.95, 1.0])
def test_one_bad_number_is_found_wherever_it_is(dtype, number, share):
    """Beyond the first block too."""
    size = len(number)
    count = 1_250_000 // size
    place = int(share * (count - 1))
    content = bytearray(LARGEST[dtype] * count)
    content[place * size : (place + 1) * size] = number
    assert found(bytes(content), dtype) == ["w"]


@pytest.mark.parametrize("dtype", LARGEST)
def test_the_largest_finite_number_is_finite(dtype):
    assert found(LARGEST[dtype] * 1000, dtype) == []


def test_bytes_of_another_tensor_do_not_count():
    """Each is read from where its own begin, to where they end."""
    tensors = {"good": Tensor("F16", (1,), (0, 2)), "bad": Tensor("F16", (1,), (2, 4))}
    assert list(infinite(io.BytesIO(b"head\x00\x00\x00\x7c"), 4, tensors)) == ["bad"]


def test_whole_numbers_are_always_finite():
    assert found(b"\xff" * 64, "I8") == []


@given(st.lists(st.floats(width=32), max_size=50))
def test_it_agrees_with_the_interpreter(values):
    content = struct.pack(f"<{len(values)}f", *values)
    assert bool(found(content, "F32")) == (not all(map(math.isfinite, values)))
