"""A load test's variables, and Locust's command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtests.drive.plan import locust_words, read_plan
from loadtests.users.settings import Mistaken


def words(**env: str) -> list[str]:
    return locust_words(read_plan(env), "http://x", Path("locustfile.py"))


def test_all_users_come_at_once_unless_told_otherwise():
    assert read_plan({"USERS": "20"}).spawn_rate == 20
    assert read_plan({"USERS": "20", "SPAWN_RATE": "0.5"}).spawn_rate == 0.5


def test_users_may_finish_what_they_have_begun():
    """Locust would throw away what is under way at the end, and a server that hangs would look well."""
    said = words(TIMEOUT="19500ms")
    assert said[said.index("--stop-timeout") + 1] == "25"


def test_reports_are_files_in_the_folder_that_was_named(tmp_path: Path):
    said = words(REPORT=str(tmp_path), ARGS="StreamUser --processes 2")
    assert said[-7:-3] == ["--csv", f"{tmp_path}/loadtest", "--html", f"{tmp_path}/loadtest.html"]
    assert said[-3:] == ["StreamUser", "--processes", "2"]


@pytest.mark.parametrize(
    "env", [{"USERS": "0"}, {"USERS": "many"}, {"SPAWN_RATE": "0"}, {"RUN_TIME": "soon"}, {"RUN_TIME": "5 m"}]
)
def test_nonsense_is_refused_by_name(env: dict[str, str]):
    with pytest.raises(Mistaken, match=next(iter(env))):
        read_plan(env)
