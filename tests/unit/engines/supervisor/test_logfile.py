"""A log begun anew, its end, and the line that tells."""

from __future__ import annotations

import os
from pathlib import Path

from engines.supervisor import logfile


def written(path: Path, text: str) -> None:
    descriptor = logfile.begin(path)
    os.write(descriptor, text.encode())
    os.close(descriptor)


def test_the_previous_log_is_kept(tmp_path: Path) -> None:
    """A restarted worker does not wipe out why it was restarted."""
    path = tmp_path / "logs" / "w.log"
    written(path, "first\n")
    written(path, "second\n")
    assert (path.read_text(), path.with_name("w.log.1").read_text()) == ("second\n", "first\n")


def test_nobody_else_may_read_a_log(tmp_path: Path) -> None:
    written(tmp_path / "w.log", "x")
    assert (tmp_path / "w.log").stat().st_mode & 0o077 == 0


def test_the_tail_is_clean(tmp_path: Path) -> None:
    written(tmp_path / "w.log", "a\n\n\x1b[31mred\x1b[0m\nb\xff\n")
    assert logfile.tail(tmp_path / "w.log", 2) == ("red", "b\xff")


def test_no_log_has_no_tail(tmp_path: Path) -> None:
    assert logfile.tail(tmp_path / "none.log") == ()


def test_the_last_error_tells_most() -> None:
    lines = (
        "(APIServer pid=7) ValueError: the cause",
        "(APIServer pid=7) RuntimeError: Engine core initialization failed",
        "resource_tracker: there appear to be 1 leaked objects",
    )
    assert logfile.telling(lines) == "RuntimeError: Engine core initialization failed"


def test_without_an_error_no_line_tells() -> None:
    """The last words of a worker that was killed are not the reason."""
    assert logfile.telling(("one", "two")) == ""
    assert logfile.telling(()) == ""


def test_the_engines_own_prefix_is_left_out() -> None:
    line = "(EngineCore pid=9) ERROR 11-21 04:13:37 [core.py:1] ValueError: too long"
    assert logfile.telling((line,)) == "ValueError: too long"
