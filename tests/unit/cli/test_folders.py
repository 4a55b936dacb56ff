"""Where the cache is."""

from pathlib import Path

from cli.folders import cache_folder


def test_what_was_asked_for_wins():
    """--cache before the environment."""
    assert cache_folder(Path("/a"), {"ENGINEHOUSE_CACHE": "/b"}) == Path("/a")


def test_the_environment_names_the_cache():
    """$ENGINEHOUSE_CACHE itself is the folder."""
    assert cache_folder(None, {"ENGINEHOUSE_CACHE": "/b", "XDG_CACHE_HOME": "/x"}) == Path("/b")


def test_the_xdg_folder_is_shared_with_others():
    """So ours is a folder in it."""
    assert cache_folder(None, {"XDG_CACHE_HOME": "/x", "HOME": "/h"}) == Path("/x/enginehouse")


def test_the_last_resort_is_in_the_home_folder():
    """As the XDG rules say."""
    assert cache_folder(None, {"HOME": "/h"}) == Path("/h/.cache/enginehouse")
