"""When a file that may be written at this moment is worth reading."""

from __future__ import annotations

from pathlib import Path

from engines.supervisor.watch import Watch, look

ONE, TWO, THREE = (1,), (2,), (3,)


def reports(*looks: tuple[int, ...] | None) -> list[bool]:
    watch = Watch()
    return [watch.changed(each) for each in looks]


def test_a_state_is_reported_when_it_was_seen_twice_and_only_once() -> None:
    assert reports(ONE, ONE, ONE, TWO, TWO, TWO) == [False, True, False, False, True, False]


def test_a_file_that_is_still_being_written_is_not_read() -> None:
    assert reports(ONE, ONE, TWO, THREE, THREE)[2:] == [False, False, True]


def test_a_file_that_is_away_for_a_moment_is_not_missed() -> None:
    """An editor moves the old one away before it writes the new one."""
    assert reports(ONE, ONE, None, None, None, TWO, TWO)[2:] == [False, False, False, False, True]


def test_a_file_that_stays_away_is_reported() -> None:
    assert reports(ONE, ONE, None, None, None, None)[2:] == [False, False, False, True]


def test_what_comes_back_unchanged_is_no_news() -> None:
    assert reports(ONE, ONE, None, ONE, ONE)[2:] == [False, False, False]


def test_a_look_sees_through_links(tmp_path: Path) -> None:
    """Kubernetes swaps a link to the folder that the file is in."""
    for name in ("v1", "v2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    (tmp_path / "data").symlink_to("v1")
    (tmp_path / "file").symlink_to("data/file")
    before = look(tmp_path / "file")
    (tmp_path / "fresh").symlink_to("v2")
    (tmp_path / "fresh").replace(tmp_path / "data")
    assert (before, look(tmp_path / "file")) == (look(tmp_path / "v1/file"), look(tmp_path / "v2/file"))


def test_what_is_not_there_looks_like_nothing(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    assert [look(tmp_path / name) for name in ("none", "loop", "x" * 300)] == [None] * 3
