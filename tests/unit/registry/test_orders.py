"""What is said over the control socket is read as it was meant."""

import msgspec
import pytest

from registry.adapter_orders import (
    AdapterRefusal,
    AdapterUse,
    AddAdapter,
    Demand,
    Listed,
    SplitAdapter,
    Told,
    Want,
)
from registry.adapters import Canary, Share
from registry.changes import Step, Verb
from registry.orders import Free, Gateway, Plan, Reload, Steps, Suspect, answer, decode, encode
from registry.snapshot import Snapshot
from registry.snapshot import encode as encode_snapshot

SPLIT = SplitAdapter("m", "pirate", "me", Canary((Share("a", 95), Share("b", 5))))
ADAPTERS = [Want("m", "m:p@a"), AdapterUse({"m": {"m:p@a": Demand(1)}}), AddAdapter("m", "p", "./p", "me"), SPLIT]


@pytest.mark.parametrize("order", [Suspect("w", "why"), Gateway(), Free("w"), Reload(), Plan("/r.yaml"), *ADAPTERS])
def test_an_order_is_one_line_and_comes_back(order):
    line = encode(order)
    assert (decode(line), line.count(b"\n")) == (order, 1)


@pytest.mark.parametrize("line", [b"", b"{}", b'{"type": "stop"}', b'{"type": "free"}', b"\xff"])
def test_what_is_no_order_is_refused(line):
    with pytest.raises(msgspec.DecodeError):
        decode(line)


@pytest.mark.parametrize(
    "said",
    [Steps((Step(Verb.SWAP, "m"),), ("r.yaml:1: wrong",)), Told("loading"), Listed(), AdapterRefusal(422, "c", "m")],
)
def test_an_answer_is_told_from_a_snapshot(said):
    assert (answer(encode(said)), answer(encode_snapshot(Snapshot(1)))) == (said, None)
