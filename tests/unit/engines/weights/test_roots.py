"""Local weights come from allowed folders only, where there is a list of them."""

import pytest

from engines.weights.failures import SourceRefused
from engines.weights.roots import ROOTS, require_inside


@pytest.fixture
def allowed(tmp_path):
    (tmp_path / "allowed/model").mkdir(parents=True)
    (tmp_path / "allowed/model/config.json").touch()
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/key").touch()
    return tmp_path / "allowed"


def check(path, allowed):
    require_inside("source", path, {ROOTS: f"/nowhere:{allowed}"})


def test_what_lies_below_a_root_is_taken(allowed):
    """And everything is, without a list."""
    check(allowed / "model", allowed)
    require_inside("source", allowed.parent / "secret", {})


def test_what_lies_elsewhere_is_refused(allowed):
    """By its real path."""
    for path in (allowed.parent / "secret", allowed / "../secret/key", allowed.parent):
        with pytest.raises(SourceRefused, match=r"outside of \$ENGINEHOUSE_WEIGHTS_ROOTS.*Put the weights below"):
            check(path, allowed)


def test_a_link_does_not_lead_out(allowed):
    """Neither the folder itself nor a file in it."""
    (allowed / "link").symlink_to(allowed.parent / "secret")
    (allowed / "model/tokenizer.json").symlink_to(allowed.parent / "secret/key")
    for path in (allowed / "link", allowed / "model"):
        with pytest.raises(SourceRefused, match="secret"):
            check(path, allowed)


def test_links_in_a_circle_lead_nowhere(allowed):
    """So not out either."""
    (allowed / "model/x").symlink_to("x")
    check(allowed / "model", allowed)
