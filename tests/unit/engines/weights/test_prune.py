"""The cache is brought to a limit: what was not used for longest goes first, what is in use never."""

import os

import pytest

from engines.weights.cache import Cache
from engines.weights.prune import octets_in, prune
from engines.weights.uses import Uses, use_of


def entry(root, kind, name, used):
    """1000 bytes, last used at `used`."""
    folder = root / kind / name
    folder.mkdir(parents=True)
    (folder / "x").write_bytes(b"x" * 1000)
    with Uses(root) as uses:
        uses.take(folder)
    for path in (folder, use_of(folder)):
        if path.exists():
            os.utime(path, (used, used))
    return folder


@pytest.fixture
def three(tmp_path):
    """By age: a checkpoint, a fetched folder, a cut transfer."""
    return [
        entry(tmp_path, "checkpoints", "old", 1000),
        entry(tmp_path, "folders", "newer", 2000),
        entry(tmp_path, "partial", "cut", 3000),
    ]


def there(entries):
    return [path.exists() for path in entries]


def test_what_fits_stays(tmp_path, three):
    """Nothing is removed without need."""
    assert prune(tmp_path, 3000).removed == ()
    assert there(three) == [True, True, True]


def test_the_least_recently_used_goes_first_and_no_more_than_must(tmp_path, three):
    """Whatever kind it is."""
    done = prune(tmp_path, 2000)
    assert ([each.path for each in done.removed], done.left) == ([three[0]], 2000)
    assert there(three) == [False, True, True]


def test_what_is_in_use_is_never_removed(tmp_path, three):
    """Not even if the limit is missed by it."""
    with Uses(tmp_path) as uses:
        assert uses.take(three[0] / "x")
        done = prune(tmp_path, 0)
    assert (done.left, done.in_use) == (1000, 1)
    assert there(three) == [True, False, False]


def test_a_use_is_a_use_only_while_it_lasts(tmp_path, three):
    """Closed, and it may go."""
    with Uses(tmp_path) as uses:
        uses.take(three[0])
    assert prune(tmp_path, 0).left == 0


def test_using_a_thing_makes_it_young(tmp_path, three):
    """So that the other one goes."""
    with Uses(tmp_path) as uses:
        uses.take(three[0])
    prune(tmp_path, 2000)
    assert there(three) == [True, False, True]


async def test_a_transfer_that_goes_on_is_in_use(tmp_path):
    """One that was cut is not, and goes like the rest."""
    cache = Cache(tmp_path)
    async with cache.fetching("hf://o/n@main", lambda: None) as folder:
        (folder / "part").write_bytes(b"x")
        assert prune(tmp_path, 0).in_use == 1
    assert prune(tmp_path, 0).left == 0


def test_what_was_removed_a_moment_ago_is_told(tmp_path, three):
    """Whoever found it a moment before must look again."""
    prune(tmp_path, 0)
    with Uses(tmp_path) as uses:
        assert not uses.take(three[0])
        assert uses.take(tmp_path.parent)


def test_what_a_killed_prune_left_goes(tmp_path, three):
    """It has no name that anybody looks for."""
    left = three[0].rename(three[0].with_name("old.pruned"))
    prune(tmp_path, 10_000)
    assert not left.exists()


@pytest.mark.parametrize(
    ("text", "octets"), [("200GB", 200 * 10**9), ("1.5 TB", 15 * 10**11), ("7m", 7 * 10**6), ("9", 9)]
)
def test_a_size_as_people_write_it(text, octets):
    """In powers of ten, as disks are sold."""
    assert octets_in(text) == octets


@pytest.mark.parametrize("text", ["", "big", "-1GB", "1e9", "1 PB"])
def test_what_is_no_size_is_refused(text):
    """With an example."""
    with pytest.raises(ValueError, match="write for example 200GB"):
        octets_in(text)
