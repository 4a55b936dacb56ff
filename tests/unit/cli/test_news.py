"""What a person reads of what the supervisor announces."""

from typing import get_args

import pytest

from cli.news import News, sentence
from engines.ledger.events import AdaptersApart, AdaptersTogether
from engines.supervisor.events import (
    Announcement,
    Draining,
    GatewayLost,
    GatewayStarted,
    Listening,
    ModelFailed,
    ModelReady,
    Stopped,
    WorkerLost,
)

URL = "http://127.0.0.1:8000"


class Told:
    """News and the lines they wrote."""

    def __init__(self):
        self.lines = []
        self.news = News(self.lines.append, stamp=lambda: "12:00:00")

    def hear(self, *events):
        for event in events:
            self.news.announce(event)
        return self.lines


@pytest.fixture
def told():
    return Told()


def test_the_address_is_told_at_once(told):
    """Before any model is ready."""
    assert told.hear(Listening(URL))[0].startswith(f"12:00:00 listening on {URL}")
    assert not told.news.was_ready


def test_the_first_ready_model_comes_with_calls_to_paste(told):
    """They hold the address and the model's name."""
    lines = told.hear(Listening(URL), ModelReady("m", 42.0))
    assert lines[1] == "12:00:00 m is ready after 42s"
    assert f"curl {URL}/v1/chat/completions" in lines[2]
    assert told.news.was_ready


def test_later_models_are_one_line(told):
    """Nobody pastes the same call twice."""
    assert len(told.hear(ModelReady("a", 1.0), ModelReady("b", 2.0))) == 3


def test_the_first_gateway_is_no_news(told):
    """Its restart is."""
    assert told.hear(GatewayStarted(7, 0)) == []
    assert told.hear(GatewayStarted(8, 1)) == ["12:00:00 gateway started again (pid 8, restart 1)"]


def test_a_lost_worker_shows_the_end_of_its_log():
    """What to read next is named."""
    lost = WorkerLost("m", "m-0.1", "exited with 1", "/logs/m-0.log", ("Traceback", "ImportError: torch"), 2.0)
    assert sentence(lost).splitlines() == [
        "m: worker m-0.1 ended (crashed): exited with 1; starting again in 2s",
        "  | Traceback",
        "  | ImportError: torch",
        "  log: /logs/m-0.log",
    ]


def test_a_worker_that_is_held_down_is_said_to_be():
    """Nothing more will happen by itself."""
    assert "held down" in sentence(WorkerLost("m", "w", "crashed", "", (), None))


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (GatewayLost("killed by SIGKILL", "/logs/g.log"), "gateway lost: killed by SIGKILL; log: /logs/g.log"),
        (ModelFailed("m", "no network", 10.0), "m: no network\n  trying again in 10s"),
        (Draining(30.0), "stopping: open requests have 30s; Ctrl-C again stops at once"),
        (Stopped(), "stopped; nothing is left running"),
    ],
)
def test_every_announcement_has_words(event, words):
    """No event is shown as a Python value."""
    assert sentence(event) == words


def test_what_hosts_share_is_apart_and_together_again(told):
    lines = told.hear(AdaptersApart("Redis is gone"), AdaptersTogether())
    assert [line.partition("hosts: ")[2] for line in lines] == ["Redis is gone", "in step again"]


def test_no_kind_of_announcement_is_without_words():
    assert [kind for kind in get_args(Announcement) if sentence.dispatch(kind) is sentence.dispatch(object)] == []
