"""A log begun anew, its end, and the line that tells."""

from __future__ import annotations

import os
from pathlib import Path

from engines.processes import logfile


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


def test_on_a_full_disk_a_child_can_write_all_the_same(tmp_path: Path) -> None:
    """To nowhere. It would die of its first line, and nobody could be served until somebody tidies up."""
    path = tmp_path / "w.log"
    written(path, "first\n")
    descriptor = logfile.begin(path, free=lambda _: 0)
    assert os.write(descriptor, b"lost\n") == 5
    os.close(descriptor)
    assert (path.exists(), path.with_name("w.log.1").read_text()) == (False, "first\n")


def test_nobody_else_may_read_a_log(tmp_path: Path) -> None:
    written(tmp_path / "w.log", "x")
    assert (tmp_path / "w.log").stat().st_mode & 0o077 == 0


def test_a_log_that_is_too_long_becomes_its_tail_while_it_is_written(tmp_path: Path) -> None:
    """The writer notices nothing: its next line follows the tail, without a hole. The whole is kept as `.1`."""
    path = tmp_path / "w.log"
    writer = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    lines = b"".join(b"line %06d\n" % number for number in range(20_000))
    os.write(writer, lines)
    logfile.bound(path, 100_000)
    os.write(writer, b"after\n")
    os.close(writer)
    kept = path.read_bytes()
    assert (len(kept) <= 64 * 1024 + 6, kept.startswith(b"line ")) == (True, True)
    assert (lines + b"after\n").endswith(kept)
    assert path.with_name("w.log.1").read_bytes() == lines
    assert path.with_name("w.log.1").stat().st_mode & 0o077 == 0


def test_a_log_within_its_bound_is_left_alone(tmp_path: Path) -> None:
    written(tmp_path / "w.log", "a\nb\n")
    logfile.bound(tmp_path / "w.log", 4)
    logfile.bound(tmp_path / "none.log", 4)
    assert [each.name for each in tmp_path.iterdir()] == ["w.log"]


def test_a_log_is_cut_even_where_it_cannot_be_copied(tmp_path: Path) -> None:
    """A full disk, say: what the log takes is what is missing."""
    path = tmp_path / "w.log"
    written(path, "x" * 99 + "\n" + "y" * 80_000 + "\nend\n")
    path.with_name("w.log.half").mkdir()
    logfile.bound(path, 1000)
    assert path.read_text() == "end\n"


def test_the_tail_is_clean(tmp_path: Path) -> None:
    written(tmp_path / "w.log", "a\n\n\x1b[31mred\x1b[0m\nb\xff\n")
    assert logfile.tail(tmp_path / "w.log", 2) == ("red", "b\xff")


def test_the_tail_may_begin_where_the_file_once_ended(tmp_path: Path) -> None:
    """A file that is shorter now was cut: all of it is taken."""
    path = tmp_path / "w.log"
    written(path, "old\n")
    mark = logfile.size(path)
    with path.open("a") as log:
        log.write("new\n")
    assert (logfile.tail(path, after=mark), logfile.tail(path, after=99)) == (("new",), ("old", "new"))
    assert (logfile.tail(path, after=8), logfile.size(tmp_path / "none.log")) == ((), 0)


def test_no_log_has_no_tail(tmp_path: Path) -> None:
    assert logfile.tail(tmp_path / "none.log") == ()


def test_a_log_that_cannot_be_read_has_no_tail(tmp_path: Path) -> None:
    """Whoever asks is telling of a worker's end, which must not become the pool's."""
    (tmp_path / "logs").touch()
    assert logfile.tail(tmp_path / "logs" / "w.log") == ()


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
