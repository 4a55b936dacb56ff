"""Which names stand for several revisions: rows like any other, and what an older Enginehouse kept in a file."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from engines.store import records, splits
from engines.store.adapters import AdapterStore
from engines.store.database import Database
from engines.store.records import Move, Revision, Why
from registry.adapters import Canary, Share

CANARY = Canary((Share("a" * 64, 1), Share("b" * 64, 1)), shadow=Share("c" * 64, 10))


async def opened(root: Path) -> AdapterStore:
    store = AdapterStore(root, clock=lambda: 1000.0)
    await store.open()
    return store


def stored(root: Path, *moves: Why, canary: Canary | None = None, adapter: str = "cat") -> None:
    """Revisions and moves, as any Enginehouse writes them; a split, as only one that knows its table does."""
    with Database(root / "store.sqlite").transaction() as connection:
        for digest in CANARY.digests:
            records.keep(connection, Revision("m", adapter, digest, "", "ann", 1.0, 1, "", 1))
        records.tell(connection, "m", adapter, tuple(Move(1.0, "ann", why, None, "a" * 64) for why in moves))
        if canary is not None:
            splits.put(connection, "m", adapter, canary)


async def test_what_a_file_has_said_is_taken_over(tmp_path: Path) -> None:
    """But for splits of what is not there, and of a name that was moved before the file was written."""
    old = tmp_path / "splits.json"
    stored(tmp_path, Why.PROMOTE, Why.SPLIT)
    stored(tmp_path, Why.SPLIT, Why.PROMOTE, adapter="dog")
    old.write_bytes(msgspec.json.encode({"m:cat": CANARY, "m:dog": CANARY, "m:cow": CANARY}))
    assert (await (await opened(tmp_path)).splits(), old.exists()) == ({("m", "cat"): CANARY}, False)
    assert await (await opened(tmp_path)).splits() == {("m", "cat"): CANARY}


async def test_a_file_of_a_downgrade_wins_over_the_rows(tmp_path: Path) -> None:
    """The older Enginehouse went by it alone. A kill before it is gone has it taken over again, to the same end."""
    other = Canary((Share("a" * 64, 3), Share("c" * 64, 4)))
    await opened(tmp_path)
    stored(tmp_path, Why.SPLIT, canary=CANARY)
    stored(tmp_path, Why.SPLIT, canary=CANARY, adapter="dog")
    for _ in range(2):
        (tmp_path / "splits.json").write_bytes(msgspec.json.encode({"m:cat": other}))
        assert await (await opened(tmp_path)).splits() == {("m", "cat"): other}


@pytest.mark.parametrize("why", [Why.PROMOTE, Why.ROLLBACK, Why.REMOVE])
async def test_a_split_that_a_downgrade_has_ended_stays_ended(tmp_path: Path, why: Why) -> None:
    """It moved the name, and did not touch the row: users would go back to the revision that was left."""
    await opened(tmp_path)
    stored(tmp_path, Why.PROMOTE, Why.SPLIT, canary=CANARY)
    stored(tmp_path, Why.PROMOTE, Why.SPLIT, canary=CANARY, adapter="dog")
    assert len(await (await opened(tmp_path)).splits()) == 2
    stored(tmp_path, why)
    assert [*await (await opened(tmp_path)).splits()] == [("m", "dog")]


async def test_a_split_of_what_a_downgrade_has_collected_has_ended(tmp_path: Path) -> None:
    await opened(tmp_path)
    stored(tmp_path, Why.SPLIT, canary=CANARY)
    with Database(tmp_path / "store.sqlite").transaction() as connection:
        records.forget(connection, (records.find(connection, "m", "cat", "c" * 64),))
    assert await (await opened(tmp_path)).splits() == {}


async def test_what_moves_no_name_ends_no_split_at_the_next_start(tmp_path: Path) -> None:
    """A pin, another revision that comes; a split that is set again is the last line too."""
    store = await opened(tmp_path)
    stored(tmp_path, Why.PROMOTE)
    await store.note_split("m", "cat", "ann", Canary((Share("a" * 64, 1), Share("c" * 64, 1))))
    await store.note_split("m", "cat", "ann", CANARY)
    await store.pin("m", "cat", "b" * 64)
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
