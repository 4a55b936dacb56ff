"""What is said over the control socket is read as it was meant."""

import msgspec
import pytest

from registry.changes import Step, Verb
from registry.orders import Answer, Free, Gateway, Plan, Reload, Suspect, answer, decode, encode
from registry.snapshot import Snapshot
from registry.snapshot import encode as encode_snapshot


@pytest.mark.parametrize("order", [Suspect("w", "why"), Gateway(), Free("w"), Reload(), Plan("/r.yaml")])
def test_an_order_is_one_line_and_comes_back(order):
    line = encode(order)
    assert (decode(line), line.count(b"\n")) == (order, 1)


@pytest.mark.parametrize("line", [b"", b"{}", b'{"type": "stop"}', b'{"type": "free"}', b"\xff"])
def test_what_is_no_order_is_refused(line):
    with pytest.raises(msgspec.DecodeError):
        decode(line)


def test_an_answer_is_told_from_a_snapshot():
    said = Answer((Step(Verb.SWAP, "m"),), ("r.yaml:1: wrong",))
    assert (answer(encode(said)), answer(encode_snapshot(Snapshot(1)))) == (said, None)
