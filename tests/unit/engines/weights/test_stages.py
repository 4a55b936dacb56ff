"""Progress over all stages, with a clock of the test's own."""

import pytest

from engines.weights.stages import Stage, Stages

PLANNED = (Stage.FETCH, Stage.CONVERT)


class Desk:
    """A clock that the test turns, and the reports that came."""

    def __init__(self):
        self.now = 100.0
        self.reports = []
        self.stages = Stages("weights demo", PLANNED, self.reports.append, lambda: self.now)


def test_the_fraction_counts_every_stage_by_its_share():
    """Fetching is 5 of 35."""
    desk = Desk()
    desk.stages.told(Stage.FETCH)("fetching", 0.5)
    desk.stages.told(Stage.CONVERT)("converting", 0.0)
    assert [report.fraction for report in desk.reports] == [pytest.approx(2.5 / 35), pytest.approx(5 / 35)]
    assert {report.task for report in desk.reports} == {"weights demo"}


def test_no_time_left_is_promised_before_the_pace_is_known():
    """The first seconds say nothing."""
    desk = Desk()
    told = desk.stages.told(Stage.FETCH)
    desk.now += 1
    told("fetching", 0.5)
    assert desk.reports[-1].eta is None


def test_the_time_left_follows_the_pace():
    """Half of the work in ten seconds: ten more."""
    desk = Desk()
    told = desk.stages.told(Stage.CONVERT)
    desk.now += 10
    told("converting", 12.5 / 30)
    assert desk.reports[-1].eta == pytest.approx(10)


def test_time_between_stages_is_no_work():
    """Installing an environment meanwhile must not make the rest look longer."""
    desk = Desk()
    fetching = desk.stages.told(Stage.FETCH)
    desk.now += 5
    fetching("fetching", 1.0)
    desk.now += 1000
    converting = desk.stages.told(Stage.CONVERT)
    desk.now += 12.5
    converting("converting", 12.5 / 30)
    assert desk.reports[-1].eta == pytest.approx(17.5)


def test_the_last_report_is_whole():
    """Who shows progress closes the bar on it."""
    desk = Desk()
    desk.stages.finished()
    assert desk.reports[-1].fraction == 1.0
