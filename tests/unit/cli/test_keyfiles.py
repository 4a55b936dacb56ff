"""Keys that come in files."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.keyfiles import with_keys
from cli.mistake import Mistake


def test_a_files_lines_are_the_keys(tmp_path: Path):
    """Its last line end is no part of a key, and who gets the variables never hears of the file."""
    (tmp_path / "api").write_text("one\ntwo\n")
    env = {"PATH": "/bin", "ENGINEHOUSE_API_KEY_FILE": str(tmp_path / "api"), "ENGINEHOUSE_ADMIN_KEY": "three"}
    assert with_keys(env) == {"PATH": "/bin", "ENGINEHOUSE_API_KEY": "one,two", "ENGINEHOUSE_ADMIN_KEY": "three"}


def test_a_file_that_holds_no_key_opens_nothing(tmp_path: Path):
    """A house whose secret was not mounted must not start without one."""
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(Mistake, match="holds no key"):
        with_keys({"ENGINEHOUSE_API_KEY_FILE": str(tmp_path / "empty")})
    with pytest.raises(Mistake, match="cannot be read"):
        with_keys({"ENGINEHOUSE_ADMIN_KEY_FILE": str(tmp_path / "none")})


def test_a_key_from_two_places_is_asked_back():
    with pytest.raises(Mistake, match="both ENGINEHOUSE_API_KEY and"):
        with_keys({"ENGINEHOUSE_API_KEY": "one", "ENGINEHOUSE_API_KEY_FILE": "/any"})
