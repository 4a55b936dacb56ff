"""Where environments live and what state they are in; installing is told in tests/stories/test_environments.py."""

import sys
from pathlib import Path

import pytest

from engines.environments.environment import Condition, EnvironmentFailed, inspect, place


@pytest.fixture
def catalogue(tmp_path):
    """One environment with one package."""
    lock = tmp_path / "demo.txt"
    lock.write_text("demo==1.0\n")
    return {"demo": lock}


def made(root: Path, *, mark: bool = True) -> None:
    """A finished environment by hand."""
    metadata = root / "lib/python3.11/site-packages/demo-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "RECORD").write_text("demo-1.0.dist-info/RECORD,,\n")
    (root / "bin").mkdir()
    (root / "bin/python").symlink_to(sys.executable)
    if mark:
        (root / ".complete").touch()


def test_an_unknown_environment_is_refused_with_those_that_exist(tmp_path, catalogue):
    """A typo in the registry must be readable."""
    with pytest.raises(EnvironmentFailed, match="no environment 'vlm'; known: demo"):
        place("vlm", tmp_path, catalogue)


def test_a_changed_lock_means_another_folder(tmp_path, catalogue):
    """Clones of different versions share the cache."""
    before = place("demo", tmp_path, catalogue).root
    catalogue["demo"].write_text("demo==1.1\n")
    assert place("demo", tmp_path, catalogue).root != before
    assert before.parent == tmp_path / "environments"


def test_nothing_there_is_missing(tmp_path, catalogue):
    """The first state."""
    assert inspect("demo", tmp_path, catalogue).condition is Condition.MISSING


def test_a_folder_without_its_mark_is_partial(tmp_path, catalogue):
    """The mark is written last."""
    made(place("demo", tmp_path, catalogue).root, mark=False)
    assert inspect("demo", tmp_path, catalogue).condition is Condition.PARTIAL


def test_a_whole_environment_is_ready(tmp_path, catalogue):
    """And there is nothing to say about it."""
    made(place("demo", tmp_path, catalogue).root)
    found = inspect("demo", tmp_path, catalogue)
    assert (found.condition, found.reason) == (Condition.READY, "")


def test_a_broken_environment_names_the_missing_package(tmp_path, catalogue):
    """The reason is what a person needs to see."""
    root = place("demo", tmp_path, catalogue).root
    made(root)
    (root / "lib/python3.11/site-packages/demo-1.0.dist-info").rename(root / "away")
    found = inspect("demo", tmp_path, catalogue)
    assert (found.condition, found.reason) == (Condition.BROKEN, "missing: demo==1.0")


def test_an_environment_whose_python_was_upgraded_away_is_broken(tmp_path, catalogue):
    """The link in `bin` dangles after an upgrade of the system."""
    root = place("demo", tmp_path, catalogue).root
    made(root)
    (root / "bin/python").unlink()
    (root / "bin/python").symlink_to("/nowhere/python3")
    assert inspect("demo", tmp_path, catalogue).reason == "its Python is gone"
