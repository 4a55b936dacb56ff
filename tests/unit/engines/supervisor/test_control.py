"""Where the control socket is."""

from __future__ import annotations

from pathlib import Path

from engines.supervisor.control import locate


def test_it_is_in_the_state_folder(tmp_path: Path) -> None:
    assert locate(tmp_path) == tmp_path / "control.sock"


def test_a_note_says_where_else_it_is(tmp_path: Path) -> None:
    (tmp_path / "control.path").write_text("/run/x.sock")
    assert locate(tmp_path) == Path("/run/x.sock")
