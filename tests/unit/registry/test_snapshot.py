"""A snapshot crosses the control socket whole, and a name costs one look-up."""

from __future__ import annotations

import msgspec
import pytest

from registry.snapshot import Loading, ModelView, Names, Snapshot, Timeouts, WorkerState, WorkerView, decode, encode

WORKER = WorkerView(id="a-1", url="http://127.0.0.1:1", state=WorkerState.READY)
MODEL = ModelView(
    name="a",
    engine="vllm",
    served_name="served",
    aliases=("x", "y"),
    timeouts=Timeouts(idle=None),
    workers=(WORKER,),
    loading=Loading("fetching", 0.5),
)
SNAPSHOT = Snapshot(revision=7, models=(MODEL, ModelView(name="b", engine="vllm", served_name="b")))


def test_a_snapshot_is_one_line_and_comes_back_the_same():
    """A frame ends at its newline, so there is none inside."""
    frame = encode(Snapshot(revision=1, reload_error="two\nlines"))
    assert frame.index(b"\n") == len(frame) - 1
    assert decode(encode(SNAPSHOT)) == SNAPSHOT


@pytest.mark.parametrize("frame", [b"", b"{}", b"[]", b'{"revision": "1"}', b'{"revision": 1'])
def test_another_frame_is_refused(frame):
    with pytest.raises(msgspec.DecodeError):
        decode(frame)


@pytest.mark.parametrize("name", ["a", "x", "y"])
def test_a_model_and_its_aliases_resolve_to_what_the_workers_call_it(name):
    target = Names(SNAPSHOT).resolve(name)
    assert (target.requested, target.model, target.served_name) == (name, MODEL, "served")


def test_an_unknown_name_resolves_to_nothing():
    assert Names(SNAPSHOT).resolve("A") is None


def test_names_are_listed_in_the_order_of_the_file():
    assert [target.requested for target in Names(SNAPSHOT).listed()] == ["a", "x", "y", "b"]
