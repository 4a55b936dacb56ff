"""`enginehouse adapters …`: what is asked of the supervisor, and what a person and a program are told of its answer."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import contextmanager

import msgspec
import pytest

from cli.__main__ import main
from registry.adapter_orders import (
    Adapted,
    AdapterRefusal,
    Listed,
    MoveState,
    PinAdapter,
    PromoteAdapter,
    RefusalState,
    RemoveAdapter,
    RevisionState,
    RollbackAdapter,
    SplitAdapter,
    SplitState,
    Told,
)
from registry.adapters import Canary, Share
from registry.orders import decode, encode
from registry.snapshot import Snapshot
from registry.snapshot import encode as frame
from tests.processes import short_folder

DIGEST = "0123456789abcdef" * 4
CAT = RevisionState(
    "m", "cat", DIGEST, source="/a/cat", who="cli:me", octets=4096, rank=8, current=True, workers=("w1",)
)


@contextmanager
def supervised(*answers):
    """A state folder whose supervisor gives these answers, after a snapshot, and the orders that it got."""
    with short_folder() as state, socket.socket(socket.AF_UNIX) as listener:
        orders = []
        listener.bind(str(state / "control.sock"))
        listener.listen()

        def serve():
            client, _ = listener.accept()
            with client, client.makefile("rb") as lines:
                client.sendall(frame(Snapshot(1)))
                orders.append(decode(lines.readline()))
                client.sendall(b"".join(map(encode, answers)))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield state, orders
        thread.join(60)


def run(state, *words):
    return main(["adapters", *words, "--state", str(state)])


def test_adding_says_how_far_it_is_and_what_came_of_it(tmp_path, capsys):
    """A path means a place where the person is, not where the supervisor is."""
    with supervised(Told("examining it"), Told("loading it"), Adapted(CAT)) as (state, orders):
        assert run(state, "add", "m", "cat", str(tmp_path), "--promote") == 0
    out = capsys.readouterr()
    assert (orders[0].source, orders[0].promote, orders[0].model) == (str(tmp_path), True, "m")
    assert "m:cat@0123456789abcdef: loaded on w1; m:cat now stands for it" in out.out
    assert "loading it" in out.err


def test_a_split_is_shown_beside_its_revisions(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    split = SplitState("m", "cat", {DIGEST: 1}, {"f" * 64: 3})
    shadow = msgspec.structs.replace(CAT, digest="f" * 64, current=False)
    with supervised(Listed((CAT, shadow), splits=(split,))) as (state, _):
        assert run(state, "list") == 0
    out = capsys.readouterr().out
    assert ("current split 100 %" in out, "shadow 3 %" in out) == (True, True)


def test_a_source_on_a_hub_is_passed_on():
    with supervised(Adapted(CAT)) as (state, orders):
        run(state, "add", "m", "cat", "hf://me/cat")
    assert orders[0].source == "hf://me/cat"


def test_a_refusal_is_one_line_and_exit_1(tmp_path, capsys):
    refused = AdapterRefusal(422, "adapter_refused", "rank_too_high: is 64", ("rank_too_high",), {"w1": "no room"})
    with supervised(refused) as (state, _):
        assert run(state, "add", "m", "cat", str(tmp_path)) == 1
    assert capsys.readouterr().err.endswith("adapter_refused: rank_too_high: is 64\n  w1: no room\n")


ORDERS = [
    (("promote", "m:cat@01234567"), PromoteAdapter, {"digest": "01234567"}),
    (("rollback", "m:cat"), RollbackAdapter, {}),
    (("remove", "m:cat"), RemoveAdapter, {}),
    (
        ("split", "m:cat", "01234567=95", "89abcdef=5", "--max-error-rate", "0.1", "--shadow", "aaaaaaaa=10"),
        SplitAdapter,
        {"canary": Canary((Share("01234567", 95), Share("89abcdef", 5)), Share("aaaaaaaa", 10), 0.1)},
    ),
    (("split", "m:cat", "--shadow", "aaaaaaaa=10"), SplitAdapter, {"canary": Canary((), Share("aaaaaaaa", 10))}),
    (("split", "m:cat", "--off"), SplitAdapter, {"canary": None}),
    (("pin", "m:cat"), PinAdapter, {"digest": "", "pinned": True}),
    (("pin", "m:cat@01234567", "--off"), PinAdapter, {"digest": "01234567", "pinned": False}),
]


@pytest.mark.parametrize(("words", "kind", "fields"), ORDERS)
def test_every_verb_is_one_order(words, kind, fields):
    """Its author is in the audit."""
    with supervised(Adapted()) as (state, orders):
        assert run(state, *words, "--json") == 0
    (order,) = orders
    known = msgspec.structs.asdict(order)
    assert (type(order), order.model, order.adapter, order.who.startswith("cli")) == (kind, "m", "cat", True)
    assert known | fields == known


def test_what_is_not_everywhere_yet_is_said(capsys):
    with supervised(Adapted(CAT, {"w2": "timed out"})) as (state, _):
        assert run(state, "rollback", "m:cat") == 0
    assert "not yet on w2, and tried again: timed out" in capsys.readouterr().err


def test_the_list_shows_revisions_and_refusals(capsys):
    refused = RefusalState(1.0, "me", "m", "dog", "/a/dog", "/q/1", ("weights_missing",))
    with supervised(Listed((CAT,), (), (refused,))) as (state, orders):
        assert run(state, "list", "m") == 0
    out = capsys.readouterr().out
    assert ("m:cat" in out, "0123456789abcdef" in out, "w1" in out) == (True, True, True)
    assert "m:dog from /a/dog: weights_missing" in out
    assert (orders[0].model, orders[0].adapter) == ("m", "")


def test_the_history_is_an_audit(capsys):
    move = MoveState(1.0, "cli:me", "promoted", "m", "cat", None, DIGEST)
    with supervised(Listed((), (move,))) as (state, _):
        run(state, "history", "m:cat")
    assert "nothing → 0123456789abcdef  promoted, by cli:me" in capsys.readouterr().out


def test_programs_get_all_of_it(capsys):
    with supervised(Listed((CAT,))) as (state, _):
        run(state, "list", "--json")
    assert json.loads(capsys.readouterr().out)["adapters"][0]["digest"] == DIGEST


WRONG = ["m", "cat", "m:../cat", "m:a/b", "m:CAT", "m:a\x00b", "m:" + "a" * 10_000, "m:cat@xyz", "m:cat@01234567", ""]


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_name_reaches_nobody(name, tmp_path, capsys):
    """There is no supervisor here: it would be another sentence. The text itself is not repeated."""
    assert run(tmp_path, "rollback", name) == 2
    assert len(capsys.readouterr().err) < 300


SPLITS = [(), ("01234567",), ("0123=1",), ("01234567=x",), ("01234567=0",), ("01234567=1", "--max-error-rate", "2")]


@pytest.mark.parametrize("words", SPLITS)
def test_a_split_that_cannot_be_reaches_nobody(words, tmp_path, capsys):
    assert run(tmp_path, "split", "m:cat", *words) == 2
    assert "not running" not in capsys.readouterr().err


def test_without_a_supervisor_it_says_so(tmp_path, capsys):
    assert run(tmp_path, "list") == 1
    assert "not running" in capsys.readouterr().err
