"""One SQLite file: who waits for whom."""

from __future__ import annotations

import pytest

from engines.store.database import Database
from engines.store.failures import StoreBusy, StoreFailed


def test_who_only_reads_waits_for_no_writer(tmp_path):
    """It sees what was whole before; the second writer has to wait."""
    database = Database(tmp_path / "store.sqlite", patience=0.0)
    with database.transaction() as writing:
        writing.execute("INSERT INTO contents VALUES ('a', 1, 'm', 8, 0.0)")
    with database.transaction() as writing:
        writing.execute("DELETE FROM contents")
        with database.reading() as reading:
            assert reading.execute("SELECT count(*) FROM contents").fetchone()[0] == 1
        with pytest.raises(StoreBusy), database.transaction():
            pass


def test_who_only_reads_makes_and_changes_nothing(tmp_path):
    """Where nothing was made yet, nothing is; and a write is refused."""
    database = Database(tmp_path / "store.sqlite")
    with pytest.raises(StoreFailed), database.reading():
        pass
    assert not database.place.exists()
    database.examine()
    with pytest.raises(StoreFailed), database.reading() as reading:
        reading.execute("DELETE FROM contents")
