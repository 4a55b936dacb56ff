"""The folder that all hosts see: a mount that hangs, and files that fail, are said as what they are."""

from __future__ import annotations

import pytest

from engines.store.depot import Depot
from engines.store.failures import StoreAway


def test_a_folder_that_hangs_holds_one_thread(tmp_path):
    """Whoever comes after it is told."""
    depot = Depot(tmp_path, lambda: 0.0, patience=0.0)
    with depot._reached(), pytest.raises(StoreAway, match="does it hang"):
        depot.listed()
    assert depot.listed() == frozenset()
