"""What a file is, by its bytes."""

import hashlib
import os
from pathlib import Path

import pytest

from engines.weights.failures import ChecksumMismatch
from engines.weights.verify import check, manifest, sha256, signature, size_of


def test_the_sum_of_a_file_is_its_sha256(tmp_path):
    """And whoever waits hears how far it is."""
    file, heard = tmp_path / "a", []
    file.write_bytes(b"weights")
    assert sha256(file, heard.append) == hashlib.sha256(b"weights").hexdigest()
    assert heard == [7]


def test_a_mismatch_shows_both_sums_and_what_to_do():
    """A person must be able to compare them."""
    with pytest.raises(ChecksumMismatch, match=r"SHA-256 is aaaa, but the registry says bbbb.*correct `sha256`"):
        check("x.gguf", "aaaa", "bbbb")


def test_sums_are_compared_without_case_and_none_wants_nothing():
    """Tools print hexadecimal in either case."""
    check("x", "ab", "AB")
    check("x", "ab", None)


def test_a_folder_is_known_by_the_names_and_contents_of_its_files(tmp_path):
    """A renamed or changed file is another checkpoint; what is hidden does not count."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/b").write_bytes(b"2")
    (tmp_path / "a").write_bytes(b"1")
    first = manifest(tmp_path)
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache/x").touch()
    assert manifest(tmp_path) == first
    (tmp_path / "a").rename(tmp_path / "c")
    assert manifest(tmp_path) != first


def test_a_manifest_is_the_sum_of_sha256sums_lines(tmp_path):
    """So that people can compute it without us."""
    (tmp_path / "a").write_bytes(b"1")
    line = f"{hashlib.sha256(b'1').hexdigest()}  a\n"
    assert manifest(tmp_path) == hashlib.sha256(line.encode()).hexdigest()


def test_the_signature_changes_when_a_file_is_written(tmp_path):
    """It saves reading gigabytes at every start."""
    (tmp_path / "a").write_bytes(b"1")
    before = signature(tmp_path)
    assert signature(tmp_path) == before
    (tmp_path / "a").write_bytes(b"12")
    assert signature(tmp_path) != before


def test_the_size_of_a_folder_is_that_of_its_files(tmp_path):
    """For the check of disk space."""
    (tmp_path / "a").write_bytes(b"12")
    assert size_of(tmp_path) == 2
    assert size_of(tmp_path / "a") == 2


def test_links_that_lead_nowhere_do_not_count(tmp_path):
    """Whether what is missing matters is for others to say."""
    (tmp_path / "a").write_bytes(b"1")
    before = manifest(tmp_path), signature(tmp_path), size_of(tmp_path)
    (tmp_path / "b").symlink_to("nowhere")
    (tmp_path / "c").symlink_to("c")
    assert (manifest(tmp_path), signature(tmp_path), size_of(tmp_path)) == before
    (tmp_path / "nowhere").write_bytes(b"2")
    assert signature(tmp_path) != before[1]


def test_a_name_that_is_no_text_counts_as_its_bytes(tmp_path):
    Path(os.fsdecode(bytes(tmp_path) + b"/\xff")).write_bytes(b"1")
    line = hashlib.sha256(b"1").hexdigest().encode() + b"  \xff\n"
    assert manifest(tmp_path) == hashlib.sha256(line).hexdigest()
