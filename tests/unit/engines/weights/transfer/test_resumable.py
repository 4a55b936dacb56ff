"""What an answer is worth, decided from its status and headers alone."""

import pytest

from engines.weights.failures import FetchFailed, NoSpace
from engines.weights.transfer.listing import File
from engines.weights.transfer.part import Part
from engines.weights.transfer.resumable import Placed, Untrue, placed

FILE = File("m", "https://h/m?signature=secret", 100)
UNSIZED = File("m", "https://h/m")


@pytest.mark.parametrize(
    ("status", "headers", "have", "file", "place"),
    [
        (200, {"content-length": "100", "etag": '"a"'}, 0, FILE, Placed(False, 100, '"a"')),
        (200, {"content-length": "100", "etag": 'W/"a"'}, 40, FILE, Placed(False, 100, "")),
        (200, {"content-length": "100", "etag": '"\u00e9"'}, 0, FILE, Placed(False, 100, "")),
        (200, {"transfer-encoding": "chunked"}, 0, FILE, Placed(False, 100, "")),
        (200, {"transfer-encoding": "chunked"}, 0, UNSIZED, Placed(False, None, "")),
        (206, {"content-range": "bytes 40-99/100", "etag": '"a"'}, 40, FILE, Placed(True, 100, '"a"')),
        (206, {"content-range": "bytes 40-99/*"}, 40, FILE, Placed(True, 100, '"a"')),
    ],
)  # fmt: skip
def test_an_honest_answer_is_placed(status, headers, have, file, place):
    """In the place of what is here, or behind it."""
    assert placed(status, headers, have, '"a"', file) == place


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (416, {}),
        (206, {}),
        (206, {"content-range": "bytes 0-99/100"}),
        (206, {"content-range": "bytes 40-99/100", "etag": '"b"'}),
        (206, {"content-range": "bytes 40-99/" + "9" * 30}),
        (206, {"content-range": "bytes 40-38/39"}),
        (206, {"content-range": "bytes 40-99/99"}),
        (206, {"content-range": "bytes 40-59/*"}),
    ],
)
def test_what_does_not_continue_what_is_here_is_untrue(status, headers):
    """All of it is fetched again."""
    with pytest.raises(Untrue):
        placed(status, headers, 40, '"a"', UNSIZED)


@pytest.mark.parametrize(
    ("headers", "file"),
    [
        ({"content-length": "99"}, FILE),
        ({"content-length": "100", "content-encoding": "gzip"}, FILE),
        ({}, UNSIZED),
    ],
)
def test_what_cannot_be_right_is_refused_at_once(headers, file):
    """Another try would bring the same; the address is shown without its signature."""
    with pytest.raises(FetchFailed, match="https://h/m") as refused:
        placed(200, headers, 0, "", file)
    assert "secret" not in str(refused.value)


def test_a_disk_that_fills_up_is_known_for_what_it_is(tmp_path):
    """A device that is always full; what was fetched stays."""
    (tmp_path / "m.part").symlink_to("/dev/full")
    with pytest.raises(NoSpace) as full:
        Part(tmp_path / "m.part").append(b"x", 3_000_000_000)
    said = str(full.value)
    assert said.startswith(f"the disk is full: that of {tmp_path} has ")
    assert "free, and 3.0 GB more had to be written there. Free some space (`enginehouse pull --prune" in said
    assert said.endswith("what was fetched so far is kept, and the next run goes on from there.")
    assert "half-made" not in said
