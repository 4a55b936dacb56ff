"""What is said of a full disk: what is needed, what is free, where, and what to do."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from engines.weights.failures import NoSpace
from engines.weights.room import disk_full, too_much


def test_what_would_not_fit_is_not_begun() -> None:
    """In figures that people can compare."""
    said = str(too_much("fetching m", Path("/cache"), 2_100_000_000, 64_000_000))
    assert said == (
        "fetching m needs about 2.1 GB, and /cache has 64 MB free. Free some space (`enginehouse pull --prune SIZE` "
        "removes what was not used for longest), or point $ENGINEHOUSE_CACHE at another disk, and run it again."
    )


def test_what_ran_out_says_what_is_left_there(tmp_path: Path) -> None:
    """Also of a place that is not there yet; without figures that nobody knows."""
    place = tmp_path / "not/yet"
    with pytest.raises(NoSpace) as full, disk_full(place):
        raise OSError(errno.ENOSPC, "No space left on device")
    said = str(full.value)
    assert said.startswith(f"the disk is full: that of {place} has ")
    assert ("more had to be" in said, said.endswith("nothing half-made is taken for whole.")) == (False, True)


def test_a_quota_is_no_full_disk(tmp_path: Path) -> None:
    """What the disk has free says nothing then."""
    said = r"your quota on that of .* is used up, and 12 MB more had to be written there"
    with pytest.raises(NoSpace, match=said), disk_full(tmp_path, 12_000_000):
        raise OSError(errno.EDQUOT, "Disk quota exceeded")
