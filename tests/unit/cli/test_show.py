"""How progress reads: few lines, each of which says something new."""

import pytest

from cli.show import PAUSE, InLines, duration, sentence, size
from engines.progress import Progress


class Written:
    """The lines written so far, under a clock that the test turns."""

    def __init__(self):
        self.lines = []
        self.now = 0.0
        self.report = InLines(self.lines.append, clock=lambda: self.now, stamp=lambda: "12:00:00").report


@pytest.fixture
def written():
    return Written()


def test_a_task_is_announced_when_it_begins(written):
    """The first report is a line at once, with the time of day and the task's name."""
    written.report(Progress("weights m", "fetching"))
    assert written.lines == ["12:00:00 weights m: fetching"]


def test_the_same_kind_of_step_is_not_repeated_at_once(written):
    """146 packages are not 146 lines."""
    written.report(Progress("environment e", "installing torch", 0.1))
    written.report(Progress("environment e", "installing numpy", 0.2))
    assert len(written.lines) == 1


def test_the_same_kind_of_step_is_repeated_after_a_pause(written):
    """Who waits sees that something moves."""
    written.report(Progress("environment e", "installing torch", 0.1))
    written.now = PAUSE
    written.report(Progress("environment e", "installing numpy", 0.2, 63.0))
    assert written.lines[1:] == ["12:00:00 environment e: installing numpy (20%, 1m03s left)"]


def test_another_kind_of_step_is_a_line_at_once(written):
    """Fetching has turned into converting."""
    written.report(Progress("weights m", "fetching"))
    written.report(Progress("weights m", "converting"))
    assert len(written.lines) == 2


def test_the_end_of_a_task_is_a_line_at_once(written):
    """The last report has fraction 1."""
    written.report(Progress("weights m", "ready", 0.99))
    written.report(Progress("weights m", "ready", 1.0))
    assert written.lines[-1] == "12:00:00 weights m: ready"


def test_tasks_do_not_silence_each_other(written):
    """Each task has its own pause."""
    written.report(Progress("environment a", "installing torch"))
    written.report(Progress("environment b", "installing torch"))
    assert len(written.lines) == 2


def test_an_unknown_share_is_not_made_up():
    """No fraction, no per cent."""
    assert sentence(Progress("t", "loading")) == "loading"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0s"), (59.4, "59s"), (59.6, "1m00s"), (190, "3m10s"), (7500, "2h05m"), (-3, "0s")],
)
def test_durations_are_for_people(seconds, words):
    """Two units at most."""
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("octets", "words"), [(0, "0 kB"), (12, "1 kB"), (93_000_000, "93 MB"), (2_540_000_000, "2.5 GB")]
)
def test_sizes_are_for_people(octets, words):
    """Powers of ten, as disks are sold."""
    assert size(octets) == words
