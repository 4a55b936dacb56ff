"""Which names stand for several revisions: rows like any other, and what an older Enginehouse kept in a file."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from engines.store import records, splits
from engines.store.adapters import AdapterStore
from engines.store.database import Database
from engines.store.records import Revision
from registry.adapters import Canary, Share

CANARY = Canary((Share("a" * 64, 1), Share("b" * 64, 1)), shadow=Share("c" * 64, 10))


async def opened(root: Path) -> AdapterStore:
    store = AdapterStore(root, clock=lambda: 1000.0)
    await store.open()
    return store


async def test_what_a_file_has_said_is_taken_over_once(tmp_path: Path) -> None:
    """But for splits of what is not there. A file that comes later says nothing any more: it could be an old copy."""
    old = tmp_path / "splits.json"
    with Database(tmp_path / "store.sqlite").transaction() as connection:
        for digest in CANARY.digests:
            records.keep(connection, Revision("m", "cat", digest, "", "ann", 1.0, 1, "", 1))
    old.write_bytes(msgspec.json.encode({"m:cat": CANARY, "m:cow": CANARY}))
    assert (await (await opened(tmp_path)).splits(), old.exists()) == ({("m", "cat"): CANARY}, False)
    old.write_bytes(msgspec.json.encode({"m:dog": CANARY}))
    assert await (await opened(tmp_path)).splits() == {("m", "cat"): CANARY}


@pytest.mark.parametrize("said", [b"", b"{", b"[]", b'{"m:cat": 7}', b"\xff"])
async def test_a_file_that_is_damaged_ends_all_splits(tmp_path: Path, said: bytes) -> None:
    (tmp_path / "splits.json").write_bytes(said)
    assert await (await opened(tmp_path)).splits() == {}


async def test_what_a_split_names_is_known_until_it_ends(tmp_path: Path) -> None:
    """The revision that is only compared too. A row that is damaged is as good as none."""
    await opened(tmp_path)
    with Database(tmp_path / "store.sqlite").transaction() as connection:
        splits.put(connection, "m", "cat", CANARY)
        splits.put(connection, "m", "cat", CANARY)
        assert (splits.of(connection, "m", "cat"), splits.of(connection, "m", "dog")) == (CANARY, None)
        assert splits.digests(connection) == {"a" * 64, "b" * 64, "c" * 64}
        connection.execute("UPDATE splits SET canary = x'7B'")
        assert (splits.of(connection, "m", "cat"), splits.every(connection)) == (None, {})
        splits.put(connection, "m", "cat", None)
        assert (splits.of(connection, "m", "cat"), splits.digests(connection)) == (None, frozenset())
