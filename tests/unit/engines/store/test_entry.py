"""What hosts tell each other: it comes back as it went, and nothing else is believed."""

from __future__ import annotations

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


def test_a_dossier_comes_back_as_it_went():
    assert decode("o/m:a", encode(WHOLE)) == WHOLE


def part(digest: str, weight: int) -> dict[str, object]:
    return {"digest": digest, "weight": weight}


@pytest.mark.parametrize(
    "raw",
    [b"", b"\x80\x04K\x01.", b"[]", b'{"version":1}', with_(format=2), with_(version=0), with_(current="3" * 64),
     with_(current="../../etc"), with_(revisions=[{"digest": "../" + "1" * 61}]), with_(moves=[{"at": 1}]),
     with_(moves=[{"at": 1, "who": "", "why": "promote", "now": ONE + "\n"}]),
     with_(split={"split": []}), with_(split={"split": [part("3" * 64, 1)]}), with_(split={"split": [part(ONE, 0)]}),
     with_(split={"split": [part(ONE, -1), part(TWO, 1)]}),
     with_(split={"split": [part(ONE, 1)], "shadow": part("3" * 64, 1)})],
)  # fmt: skip
def test_what_does_not_fit_is_refused(raw: bytes):
    """A digest becomes a folder's name; nothing is ever unpickled."""
    with pytest.raises(StoreDamaged):
        decode("o/m:a", raw)


@pytest.mark.parametrize("name", ["", ":", "m", "m:", ":a", "../m:a", "m:A", "m:../a", "m:a@b", "a:b:c"])
def test_a_name_that_can_be_nobodys_is_refused(name: str):
    with pytest.raises(StoreDamaged):
        named(name)
