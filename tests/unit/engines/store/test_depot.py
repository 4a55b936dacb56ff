"""The folder that all hosts see: a mount that hangs, and files that fail, are said as what they are."""

from __future__ import annotations

import resource
import shutil

import pytest

from engines.store.depot import Depot
from engines.store.failures import StoreAway, StoreDamaged, StoreFailed, StoreFull
from tests import lora

ONE = "0" * 64


@pytest.fixture
def depot(tmp_path):
    """One that holds what is called `ONE`, and is not."""
    lora.write(tmp_path / "files/revisions" / ONE, lora.config(r=1), lora.tensors(layers=1, rank=1))
    return Depot(tmp_path / "files", lambda: 0.0)


def test_a_full_disk_here_is_not_said_to_be_the_shared_one(depot, tmp_path):
    """What is written while files are fetched is written here."""
    (work := tmp_path / "work").mkdir()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, before[1]))
    try:
        with pytest.raises(StoreFull, match=f"full: {work}"):
            depot.fetch(ONE, work)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_shared_disk_is_said_and_nothing_half_made_stays(depot, tmp_path):
    """Nobody else can ever find it by its digest."""
    two = "1" * 64
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, before[1]))
    try:
        with pytest.raises(StoreFull, match=f"full: {tmp_path / 'files'}"):
            depot.put(two, tmp_path / "files/revisions" / ONE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (depot.listed(), [*(tmp_path / "files/incoming").iterdir()]) == ({ONE}, [])


def test_a_revision_without_a_file_is_damaged(depot, tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "files/revisions" / ONE / "adapter_model.safetensors").unlink()
    with pytest.raises(StoreFailed):
        depot.fetch(ONE, tmp_path / "work")


def test_a_link_in_place_of_a_file_is_damage(depot, tmp_path):
    """It is not followed, wherever it leads."""
    (tmp_path / "work").mkdir()
    weights = tmp_path / "files/revisions" / ONE / "adapter_model.safetensors"
    weights.rename(tmp_path / "elsewhere")
    weights.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreDamaged, match="revisions/0000"):
        depot.fetch(ONE, tmp_path / "work")


def test_of_two_hosts_that_bring_the_same_one_does(depot, tmp_path):
    """Whoever comes second finds it there; what fails otherwise is said."""
    two, root = "1" * 64, tmp_path / "files"
    shutil.copytree(root / "revisions" / ONE, root / "revisions" / two)
    shutil.copytree(root / "revisions" / ONE, root / "incoming/mine")
    assert (depot._renamed(root / "incoming/mine", two), depot.has(two)) == (False, True)
    with pytest.raises(FileNotFoundError):
        depot._renamed(root / "incoming/none", "2" * 64)


@pytest.mark.usefixtures("depot")
def test_a_place_that_cannot_be_written_is_said(tmp_path):
    """A file where the folder of revisions should be."""
    two = Depot(tmp_path / "other", lambda: 0.0)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/revisions").write_text("")
    with pytest.raises(StoreFailed, match="other/revisions"):
        two.put(ONE, tmp_path / "files/revisions" / ONE)


def test_a_folder_that_hangs_holds_one_thread(tmp_path):
    """Whoever comes after it is told."""
    depot = Depot(tmp_path, lambda: 0.0, patience=0.0)
    with depot._reached(), pytest.raises(StoreAway, match="does it hang"):
        depot.listed()
    assert depot.listed() == frozenset()
