"""The report as text."""

from loadtests.bench.table import render, verdicts


def test_a_figure_is_shown_with_its_ratio() -> None:
    """And a contestant without that figure has a dash."""
    text = render("JSON", {"direct": {"errors": 0.0}, "nginx": {"rss_mb": 17.2, "rss_mb_x": 1.0, "errors": 0.0}})

    assert [line.split() for line in text.splitlines()] == [
        ["JSON"],
        ["RSS", "MB", "errors"],
        ["direct", "-", "0"],
        ["nginx", "17", "(1.00x)", "0"],
    ]


def test_a_goal_is_met_at_its_limit() -> None:
    """`at most` includes the limit."""
    lines = verdicts({"json_64": {"enginehouse": {"cpu_us_per_request_x": 4.0}}})

    assert lines[0].split("  ")[0] == "met"


def test_a_missed_goal_is_said_in_capitals() -> None:
    """A miss must not be overlooked."""
    lines = verdicts({"streams_256": {"enginehouse": {"cpu_s_per_million_chunks_x": 1.31}}})

    assert lines[1].startswith("MISSED")


def test_what_was_not_measured_is_not_met() -> None:
    """A run of a few scenarios claims nothing about the others."""
    assert all(line.startswith("not measured") for line in verdicts({}))


def test_the_nearest_peer_is_named() -> None:
    """Below every peer means below the cheapest one; nginx is no peer."""
    figure = "cpu_us_per_request"
    summary = {"nginx": {figure: 20.0}, "enginehouse": {figure: 60.0}, "smg": {figure: 225.0}, "litellm": {figure: 9e3}}

    assert verdicts({"json_64": summary})[-2].endswith("60.0, the nearest is smg with 225.0")
