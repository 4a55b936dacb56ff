"""Files that are replaced as a whole."""

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engines import atomic

EITHER = pytest.mark.parametrize("durable", [True, False])


@contextmanager
def files_of(octets: int) -> Iterator[None]:
    """No file can grow longer meanwhile: a write is cut there, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@EITHER
def test_the_new_content_is_there_and_nothing_else_is(tmp_path: Path, *, durable: bool) -> None:
    """Whether there was a file before or not."""
    place = tmp_path / "note.json"
    for content in (b"old", b"new"):
        atomic.write(place, content, durable=durable)
        assert place.read_bytes() == content
    assert list(tmp_path.iterdir()) == [place]


@EITHER
def test_a_write_that_is_cut_leaves_the_old_content_and_no_draft(tmp_path: Path, *, durable: bool) -> None:
    """Half of the new content was written by then."""
    place = tmp_path / "note.json"
    place.write_bytes(b"old")
    with pytest.raises(OSError, match="too large") as cut, files_of(4):
        atomic.write(place, b"new, and longer", durable=durable)
    assert cut.value.errno == errno.EFBIG
    assert place.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [place]


def test_what_cannot_have_the_name_leaves_no_draft(tmp_path: Path) -> None:
    """A folder stands there: the content was written, and not renamed."""
    (tmp_path / "note.json").mkdir()
    with pytest.raises(IsADirectoryError):
        atomic.write(tmp_path / "note.json", b"new", durable=True)
    assert [found.name for found in tmp_path.iterdir()] == ["note.json"]


def test_who_reads_goes_on_reading_the_old_content(tmp_path: Path) -> None:
    """The file that was opened is never written to."""
    place = tmp_path / "note.json"
    place.write_bytes(b"old")
    with place.open("rb") as reader:
        atomic.write(place, b"new", durable=False)
        assert reader.read() == b"old"


def test_its_mode_is_that_of_a_new_file(tmp_path: Path) -> None:
    """What the umask leaves, not what a private temporary file has."""
    (tmp_path / "plain").touch()
    atomic.write(tmp_path / "note.json", b"new", durable=False)
    assert (tmp_path / "note.json").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_link_is_replaced_and_what_it_leads_to_is_left_alone(tmp_path: Path) -> None:
    """The rename is of the name, as it was in all the copies of this."""
    (tmp_path / "other").write_bytes(b"other")
    (tmp_path / "note.json").symlink_to("other")
    atomic.write(tmp_path / "note.json", b"new", durable=False)
    assert (tmp_path / "other").read_bytes() == b"other"
    assert not (tmp_path / "note.json").is_symlink()


@pytest.mark.parametrize("name", ["note.json", "[a-z]*?.json", "!{b}"])
def test_a_draft_that_a_kill_has_left_goes_with_a_later_write_of_that_name(tmp_path: Path, name: str) -> None:
    """Not while somebody may still write it, and no other file's: an hour after it was last written to."""
    (tmp_path / name).touch()
    now = (tmp_path / name).stat().st_mtime
    stays = {f".{name}.00000000": now - 3000, ".a.json.00000000": 0, f".{name}.0000000": 0, f".{name}.backup00": 0}
    for draft, at in {**stays, f".{name}.0123cdef": now - 4000, f".{name}.89ab4567": 0}.items():
        (tmp_path / draft).touch()
        os.utime(tmp_path / draft, (at, at))
    atomic.write(tmp_path / name, b"new", durable=True)
    assert {each.name for each in tmp_path.iterdir()} == {name, *stays}


def test_a_draft_that_cannot_be_taken_away_is_no_matter(tmp_path: Path) -> None:
    """The new content is there."""
    (tmp_path / ".note.json.00000000").mkdir()
    os.utime(tmp_path / ".note.json.00000000", (0, 0))
    atomic.write(tmp_path / "note.json", b"new", durable=True)
    assert (tmp_path / "note.json").read_bytes() == b"new"
