"""What hosts tell each other: it comes back as it went, and nothing else is believed."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from engines.store.dossier import Dossier
from engines.store.entry import decode, encode, named
from engines.store.failures import StoreDamaged
from engines.store.records import Move, Revision, Why
from registry.adapters import Canary, Share

ONE, TWO = "1" * 64, "2" * 64
REVISIONS = tuple(
    Revision("o/m", "a", digest, "hf://o/n@main", "ann", 1.5, 9, "base", 8, pinned=digest == ONE, current=digest == TWO)
    for digest in (ONE, TWO)
)  # fmt: skip
MOVES = (Move(1.0, "ann", Why.PROMOTE, None, ONE), Move(2.0, "bob", Why.PROMOTE, ONE, TWO))
WHOLE = Dossier("o/m", "a", REVISIONS, MOVES, Canary((Share(ONE, 1), Share(TWO, 9))), 3, "stamp")


def with_(**fields) -> bytes:
    return msgspec.json.encode(msgspec.json.decode(encode(WHOLE)) | fields)


def revised(**fields) -> bytes:
    first, *others = msgspec.json.decode(encode(WHOLE))["revisions"]
    return with_(revisions=[first | fields, *others])


def test_a_dossier_comes_back_as_it_went():
    assert decode("o/m:a", encode(WHOLE)) == WHOLE


def split(*parts: tuple[str, int], **fields) -> bytes:
    return with_(split={"split": parts, **fields})


def test_a_split_may_name_what_is_listed_and_weigh_parts_with_nothing():
    found = decode("o/m:a", split((ONE, 0), (TWO, 1), shadow=(ONE, 5))).split
    assert found == Canary((Share(ONE, 0), Share(TWO, 1)), Share(ONE, 5))


@pytest.mark.parametrize(
    "raw",
    [split(), split(("3" * 64, 1)), split((ONE, 1), ("3" * 64, 1)), split((ONE, 1), shadow=("3" * 64, 1)),
     split((ONE, 0)), split((ONE, 0), (TWO, 0)), split((ONE, -1), (TWO, 1))],
)  # fmt: skip
def test_a_split_that_can_mean_nothing_has_ended(raw: bytes):
    """The rest of the entry holds: were all of it refused, no order could ever change it."""
    assert decode("o/m:a", raw) == replace(WHOLE, split=None)


@pytest.mark.parametrize(
    ("raw", "said"),
    [(b"", "damaged"), (b"\x80\x04K\x01.", "damaged"), (b"[]", "damaged"), (b'{"version":1}', "damaged"),
     (with_(format=2), "of format 2"), (with_(version=0), "damaged"), (with_(current="3" * 64), "does not list.*HDEL"),
     (with_(current="../../etc"), "damaged.*HDEL"), (revised(digest="../" + "1" * 61), "damaged"),
     (revised(octets=-1), "damaged"), (revised(rank=-1), "damaged"), (with_(stamp=""), "damaged"),
     (with_(stamp="x" * 65), "damaged"), (with_(moves=[{"at": 1}]), "damaged"),
     (with_(moves=[{"at": 1, "who": "", "why": "promote", "now": ONE + "\n"}]), "damaged"),
     (with_(split={"split": [{"digest": ONE, "weight": 1}]}), "damaged")],
)  # fmt: skip
def test_what_does_not_fit_is_refused(raw: bytes, said: str):
    """A digest becomes a folder's name; nothing is ever unpickled. Who reads it is told what to do."""
    with pytest.raises(StoreDamaged, match=said):
        decode("o/m:a", raw)


@pytest.mark.parametrize("name", ["", ":", "m", "m:", ":a", "../m:a", "m:A", "m:../a", "m:a@b", "a:b:c"])
def test_a_name_that_can_be_nobodys_is_refused(name: str):
    with pytest.raises(StoreDamaged):
        named(name)
